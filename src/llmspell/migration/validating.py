"""Whether stored values meet a version of their schema."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from llmspell.migration.inherited import Inherited
from llmspell.migration.preparing import PROBLEMS_MAX, Preparation
from llmspell.migration.values import Problem, Validated

if TYPE_CHECKING:
    from llmspell.migration.applying import Tools
    from llmspell.migration.held import Held, Place, Values
    from llmspell.migration.plan import Plan
    from llmspell.ports.database import Reading
    from llmspell.schemas.checking import Validators

PAGE_VALUES = 256
InheritedPage = Callable[[Inherited, "Reading"], tuple[list["Held"], Inherited | None]]
"""Reads a page of what forks inherit, and says where the next begins."""


async def validate_values(
    tools: Tools, plan: Plan, values: Values, validators: Validators, inherited: InheritedPage
) -> Validated:
    """Every value of the plan's target by its new version, and of what forks inherit, a page at a time."""
    preparation = Preparation(plan, values, dict.fromkeys(plan.functions(), _unused), validators, "after")
    problems: list[Problem] = []
    checked = failing = 0
    after: Place | None = (0, "")
    at: Inherited | None = Inherited()
    while after is not None or at is not None:
        if after is not None:
            page = await tools.read(partial(_page, values, after))
            after = page[-1].place if page else None
        else:
            page, at = await tools.read(partial(inherited, at or Inherited()))
        for held in page:
            checked += 1
            found = preparation.check(held)
            if found is not None:
                failing += 1
                problems += [found][: PROBLEMS_MAX - len(problems)]
        await tools.pause()
    return Validated(plan.name, plan.to_version, checked, failing, tuple(problems))


def _unused(value: object) -> object:
    return value


def _page(values: Values, after: Place, view: Reading) -> list[Held]:
    return values.page(view, after, PAGE_VALUES)
