"""Whether stored values meet a version of their schema."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from llmspell.migration.preparing import PROBLEMS_MAX, Preparation
from llmspell.migration.values import Problem, Validated

if TYPE_CHECKING:
    from llmspell.migration.applying import Tools
    from llmspell.migration.held import Held, Place, Values
    from llmspell.migration.plan import Plan
    from llmspell.ports.database import Reading
    from llmspell.schemas.checking import Validators

PAGE_VALUES = 256


async def validate_values(tools: Tools, plan: Plan, values: Values, validators: Validators) -> Validated:
    """Every value of the plan's target by its new version, a page at a time."""
    preparation = Preparation(plan, values, dict.fromkeys(plan.functions(), _unused), validators, "after")
    problems: list[Problem] = []
    checked = failing = 0
    after = (0, "")
    while page := await tools.read(partial(_page, values, after)):
        for held in page:
            checked += 1
            found = preparation.check(held)
            if found is not None:
                failing += 1
                problems += [found][: PROBLEMS_MAX - len(problems)]
        after = page[-1].place
        await tools.pause()
    return Validated(plan.name, plan.to_version, checked, failing, tuple(problems))


def _unused(value: object) -> object:
    return value


def _page(values: Values, after: Place, view: Reading) -> list[Held]:
    return values.page(view, after, PAGE_VALUES)
