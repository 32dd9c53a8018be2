"""From a value that was read to what is to be written for it, or to what is wrong with it. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from llmspell.errors import InvalidInput, LimitExceeded, NotFound
from llmspell.migration.changing import unknown_function
from llmspell.migration.held import Held, Values
from llmspell.migration.plan import Plan
from llmspell.migration.transform import Functions
from llmspell.migration.values import Problem
from llmspell.model.arguments import is_async
from llmspell.model.telling import told
from llmspell.model.values import encode_value
from llmspell.schemas import checking
from llmspell.schemas.checking import Validators

Validation = Literal["strict", "after", "report", "none"]
"""``strict``: every value meets the old version before and the new one after, else the migration fails; ``after``: only
the latter; ``report``: a value that does not is left as it is and reported; ``none``: nothing is checked.
"""
PROBLEMS_MAX: Final = 100
"""Problems that are kept of a migration; all are counted."""


@dataclass(slots=True)
class Prepared:
    """A page of values, prepared: what to write, and what is wrong with those that stay."""

    writes: list[tuple[Held, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unchanged: int = 0


class Preparation:
    """A plan with what it needs to be done: functions and validators of this process."""

    def __init__(
        self, plan: Plan, values: Values, functions: Functions, validators: Validators, validation: str, since: int = 0
    ) -> None:
        """What was written after the entry ``since`` was held against the new version, and stays (0: nothing was).
        Raises NotFound (``unknown-function``, ``unknown-validator``), InvalidInput (``invalid-validation``).
        """
        check_validation(validation)
        for name in sorted(plan.functions() - set(functions)):
            raise unknown_function(name)
        self.plan = plan
        self.values = values
        self._since = since
        self._functions = functions
        self._validators = validators
        self._before = validation in {"strict", "report"}
        self._after = validation != "none"
        for name in sorted(self._named() - set(validators)):
            raise NotFound(
                f"a schema names the validator {name!r}, which was not given",
                code="unknown-validator",
                hint="give it: validators={name: function}",
                validator=name,
            )

    def page(self, page: list[Held], started: int) -> Prepared:
        """Values prepared one by one. ``started`` is the entry since which others may have written new forms."""
        prepared = Prepared()
        for held in page:
            made = self.one(held, started)
            if made is None:
                prepared.unchanged += 1
            elif isinstance(made, Problem):
                prepared.problems.append(made)
            else:
                prepared.writes.append((held, made[0]))
        return prepared

    def one(self, held: Held, started: int) -> tuple[Any, Any] | Problem | None:
        """What to write and what was made, a problem, or None for a value that stays as it is. ``held.value`` is
        used up.
        """
        plan = self.plan
        old = self.values.is_old(held, plan.from_version)
        if old is False or self.values.is_other(held, plan):
            return None
        if self._since and held.seq > self._since and held.state_class != "trusted":
            return None
        found = self._problems_before(held) if self._before else []
        if old is None and started and held.seq > started and self._is_new(held):
            return None
        if found:
            return self._wrong(held, found[0], "before")
        return self._made(held)

    def late(self, held: Held) -> tuple[Any, Any] | Problem | None:
        """The same of a value that somebody else wrote where all is done: one that meets the new version is new."""
        old = self.values.is_old(held, self.plan.from_version)
        if (
            old is False
            or self.values.is_other(held, self.plan)
            or (old is None and not self._problems_after(held.value))
        ):
            return None
        return self._made(held)

    def check(self, held: Held) -> Problem | None:
        """What is wrong with a value by the new version."""
        free = held.state_class == "trusted" or self.values.is_other(held, self.plan)
        found = [] if free else self._problems_after(held.value)
        return self._wrong(held, found[0], "after") if found else None

    def _made(self, held: Held) -> tuple[Any, Any] | Problem | None:
        try:
            made = self.plan.change(held.value, self._functions)
            encode_value(made)
        except (InvalidInput, LimitExceeded) as exc:
            return _problem(held, exc, "transform")
        found = self._problems_after(made) if self._after and held.state_class != "trusted" else []
        if found:
            return self._wrong(held, found[0], "after")
        try:
            stored = self.values.stored(held, made, self.plan)
        except (InvalidInput, LimitExceeded) as exc:
            return _problem(held, exc, "store")
        return None if stored is None else (stored, made)

    def _named(self) -> set[str]:
        before = self.plan.from_schema.validator_names() if self._before else set()
        return before | (self.plan.to_schema.validator_names() if self._after else set())

    def _is_new(self, held: Held) -> bool:
        """Whether a value that was written since the start is of the new version, and cannot be of the old one."""
        old = checking.problems(self.plan.from_schema.value, held.value, self._validators, ask=self._before)
        return bool(old) and not self._problems_after(held.value)

    def _problems_before(self, held: Held) -> list[checking.Problem]:
        """None of a trusted value, which no schema binds."""
        if held.state_class == "trusted":
            return []
        return checking.problems(self.plan.from_schema.value, held.value, self._validators)

    def _problems_after(self, value: Any) -> list[checking.Problem]:
        return checking.problems(self.plan.to_schema.value, value, self._validators, ask=self._after)

    def _wrong(self, held: Held, found: checking.Problem, phase: str) -> Problem:
        version = self.plan.from_version if phase == "before" else self.plan.to_version
        message = f"{found} [{self.plan.name} {version}, {phase}]"
        return Problem(held.scope, held.key, found.path, found.code, message, phase)


def check_functions(given: object, what: str) -> None:
    """Functions by name. Raises InvalidInput (``invalid-functions``)."""
    if not isinstance(given, Mapping) or not all(type(name) is str and callable(one) for name, one in given.items()):
        raise InvalidInput(f"{what} are functions by their names, not {told(given)}", code="invalid-functions")
    for name, one in given.items():
        if is_async(one):
            raise InvalidInput(f"{what} are plain functions; {told(name)} is async", code="invalid-functions")


def check_validation(validation: str) -> None:
    """Raises InvalidInput (``invalid-validation``)."""
    if validation not in get_args(Validation):
        raise InvalidInput(
            f"validation is one of {', '.join(get_args(Validation))}, not {told(validation)}",
            code="invalid-validation",
        )


def _problem(held: Held, exc: InvalidInput | LimitExceeded, phase: str) -> Problem:
    return Problem(held.scope, held.key, str(exc.details.get("path", "$")), exc.code, exc.message, phase)
