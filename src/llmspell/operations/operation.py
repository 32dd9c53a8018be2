"""Operation: one thing a script can ask for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llmspell.errors import InvalidInput
from llmspell.operations.types import Misfit, Misplaced, Param, camel, misfit

if TYPE_CHECKING:
    from llmspell.model.entry import Entry
    from llmspell.operations.host import Host

Form = tuple[Param, ...]
Handler = Callable[..., Awaitable[Any]]
Values = Mapping[str, Any]


class Effect(StrEnum):
    """What a run's record makes of an operation.

    ``record``: its result is recorded, and answers the same step of a resumed run. ``local``: recorded too, but done
    again by a resumed run, since it lives in the process (a hook, a subscription). ``pure``: neither recorded nor
    answered; it gives the same for the same arguments.
    """

    RECORD = "record"
    LOCAL = "local"
    PURE = "pure"


@dataclass(frozen=True)
class Operation:
    """``forms`` are the lists of arguments it takes, told apart by their number and then by what fits. ``names`` begins
    with the name of the reference; each is also known in the other naming style.

    ``wait_s(values)`` says how long it waits on purpose. ``shorten(result)`` turns a result into what the record
    keeps, and ``restore(host, shortened, kept)`` that into the result; ``kept`` is what the handler gave to
    ``host.keep``. ``whole``: arguments stand in the record at any length. ``recalled(host, values, result)`` is told
    when a step was answered from the record.

    ``made`` is for operations that cannot be asked for a second time, because what they are about is gone or got a new
    id: the kind of the entry that says the change was made (or several, with spaces between), and what gives the step's
    result then, ``(host, values, entries of those kinds)``.
    """

    namespace: str
    names: tuple[str, ...]
    forms: tuple[Form, ...]
    returns: str
    doc: str
    perform: Handler
    effect: Effect = Effect.RECORD
    errors: tuple[str, ...] = ()
    lua_returns: str = "any"
    wait_s: Callable[[Values], float] | None = None
    shorten: Callable[[Any], Any] | None = None
    restore: Callable[[Host, Any, Any], Awaitable[Any]] | None = None
    recalled: Callable[[Host, Values, Any], None] | None = None
    whole: bool = False
    made: tuple[str, Callable[[Host, Values, list[Entry]], Awaitable[Any]]] | None = None
    _by_count: dict[int, list[Form]] = field(init=False, default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for form in self.forms:
            least = sum(not param.optional for param in form)
            for count in range(least, len(form) + 1):
                self._by_count.setdefault(count, []).append(form)

    @cached_property
    def title(self) -> str:
        """Its name everywhere but in scripts that use another of its names: ``State.get``."""
        return f"{self.namespace}.{self.names[0]}".removeprefix(".")

    @cached_property
    def script_names(self) -> tuple[str, ...]:
        """Every name scripts may use, both styles, without repeats."""
        return tuple(dict.fromkeys(spelling for name in self.names for spelling in (name, camel(name))))

    def take(self, args: list[Any]) -> dict[str, Any]:
        """The arguments by parameter, converted. Raises InvalidInput (``invalid-argument``) naming function and
        argument.
        """
        forms = self._by_count.get(len(args))
        while forms is None and args and args[-1] is None:
            args = args[:-1]
            forms = self._by_count.get(len(args))
        if forms is None:
            raise self._miscounted(len(args))
        refusals: list[tuple[int, bool, InvalidInput]] = []
        for form in forms:
            values: dict[str, Any] = {}
            for index, (param, value) in enumerate(zip(form, args, strict=False), 1):
                if value is None and param.optional:
                    continue
                try:
                    values[param.name] = param.type.take(value)
                except (Misfit, Misplaced) as exc:
                    near = isinstance(exc, Misplaced) or exc.inside != ""
                    refusals.append((index, near, misfit(self.title, index, param, exc)))
                    break
            else:
                return values
        # The form that fits best says what is wrong: the one that got furthest.
        raise max(refusals, key=lambda refusal: refusal[:2])[2]

    def _miscounted(self, count: int) -> InvalidInput:
        forms = " or ".join(f"{self.title}({', '.join(signature(form))})" for form in self.forms)
        found = "no arguments" if count == 0 else f"{count} argument{'s' if count > 1 else ''}"
        return InvalidInput(f"{self.title}: called with {found}; it takes {forms}", code="invalid-argument")


def signature(form: Form) -> list[str]:
    """Parameters as the reference writes them: optional ones in brackets."""
    return [f"[{param.name}]" if param.optional else param.name for param in form]
