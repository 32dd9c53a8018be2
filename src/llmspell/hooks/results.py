"""What a hook may answer. Nine frozen values; which of them is allowed where, and what it does there, is said in
``points``.

Python callbacks return one of these or None (which is Continue). Scripts return the shapes that ``parse_result`` reads.
A value that means nothing is an error, never a Continue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from llmspell.errors import InvalidInput

DELAY_MS_MAX = 3_600_000
ATTEMPTS_MAX = 1_000
NAME_CHARS_MAX = 1_024
"""Longest target of a redirect and key of a cache."""


class Continue(msgspec.Struct, frozen=True, tag_field="type", tag="continue"):
    """Go on, nothing to say. The same as None."""


class Modified(msgspec.Struct, frozen=True, tag_field="type", tag="modified"):
    """Go on with these fields changed. ``data`` names the fields; what it leaves out stays as it is."""

    data: dict[str, Any]

    def __post_init__(self) -> None:
        _demand(type(self.data) is dict, "Modified(data): a dict of the fields to change", self.data)


class Cancel(msgspec.Struct, frozen=True, tag_field="type", tag="cancel"):
    """Refuse the operation. The caller gets Vetoed with this reason."""

    reason: str

    def __post_init__(self) -> None:
        _demand(isinstance(self.reason, str), "Cancel(reason): a str", self.reason)


class Replace(msgspec.Struct, frozen=True, tag_field="type", tag="replace"):
    """Do not run the operation: this is its result."""

    result: Any


class Redirect(msgspec.Struct, frozen=True, tag_field="type", tag="redirect"):
    """Do it to another target: a key of the same scope, a name of the same session."""

    target: str

    def __post_init__(self) -> None:
        _demand_name(self.target, "Redirect(target)")


class Retry(msgspec.Struct, frozen=True, tag_field="type", tag="retry"):
    """Not now: ask again after ``delay_ms`` milliseconds, at most ``attempts`` times."""

    delay_ms: int = 1_000
    attempts: int = 3

    def __post_init__(self) -> None:
        _demand_int(self.delay_ms, 0, DELAY_MS_MAX, "Retry(delay_ms)")
        _demand_int(self.attempts, 1, ATTEMPTS_MAX, "Retry(attempts)")


class Fork(msgspec.Struct, frozen=True, tag_field="type", tag="fork"):
    """Do these as well: a list of dicts that the one who triggered the point understands."""

    operations: list[dict[str, Any]]

    def __post_init__(self) -> None:
        operations: object = self.operations
        _demand(
            isinstance(operations, list) and operations and all(type(each) is dict for each in operations),
            "Fork(operations): a list of at least one dict",
            self.operations,
        )


class Cache(msgspec.Struct, frozen=True, tag_field="type", tag="cache"):
    """Keep the operation's result under ``key``, for ``ttl_s`` seconds or, with None, for good."""

    key: str
    ttl_s: float | None = None

    def __post_init__(self) -> None:
        _demand_name(self.key, "Cache(key)")
        ttl = self.ttl_s
        numeric = isinstance(ttl, int | float) and not isinstance(ttl, bool) and 0 < ttl < float("inf")
        _demand(ttl is None or numeric, "Cache(ttl_s): seconds above 0, or None", ttl)


class Skipped(msgspec.Struct, frozen=True, tag_field="type", tag="skipped"):
    """This hook has no opinion about this one; the reason goes into its report."""

    reason: str = ""

    def __post_init__(self) -> None:
        _demand(isinstance(self.reason, str), "Skipped(reason): a str", self.reason)


HookResult = Continue | Modified | Cancel | Replace | Redirect | Retry | Fork | Cache | Skipped
RESULT_TYPES: tuple[type[HookResult], ...] = (
    Continue,
    Modified,
    Cancel,
    Replace,
    Redirect,
    Retry,
    Fork,
    Cache,
    Skipped,
)


def result_name(kind: type[HookResult]) -> str:
    """The name scripts use for a kind of result: ``modified``, ``cancel`` …"""
    return str(kind.__struct_config__.tag)


def parse_result(value: Any) -> HookResult:
    """The result that a script's return value stands for.

    None and ``"continue"``: Continue. ``"skip"`` and ``"skipped"``: Skipped. Any other str: Cancel with it as reason.
    A dict names its kind under ``type`` (or ``action``): ``continue``; ``modified`` {data}; ``cancel`` {reason};
    ``redirect`` {target}; ``replace`` {data or result}; ``retry`` {delay_ms 1000, max_attempts 3};
    ``skipped`` {reason}; ``fork`` {operations}; ``cache`` {key, ttl_s}. A result value is itself. Raises InvalidInput,
    code ``invalid-result``, for everything else, unknown kinds and fields included.
    """
    if value is None:
        return Continue()
    if isinstance(value, RESULT_TYPES):
        return value
    if isinstance(value, str):
        return _WORDS[value]() if value in _WORDS else Cancel(value)
    if isinstance(value, dict):
        return _parse_table(value)
    raise refused("nil, a str or a table with `type`", value)


_WORDS: dict[str, Callable[[], HookResult]] = {
    "continue": Continue,
    "skip": lambda: Skipped("skip"),
    "skipped": lambda: Skipped("skipped"),
}

# kind: its constructor, then the fields of the script's table with the argument each of them is.
_TABLES: dict[str, tuple[Callable[..., HookResult], dict[str, str]]] = {
    "continue": (Continue, {}),
    "modified": (Modified, {"data": "data"}),
    "cancel": (Cancel, {"reason": "reason"}),
    "redirect": (Redirect, {"target": "target"}),
    "replace": (Replace, {"data": "result", "result": "result"}),
    "retry": (Retry, {"delay_ms": "delay_ms", "max_attempts": "attempts", "attempts": "attempts"}),
    "skipped": (Skipped, {"reason": "reason"}),
    "skip": (Skipped, {"reason": "reason"}),
    "fork": (Fork, {"operations": "operations"}),
    "cache": (Cache, {"key": "key", "ttl_s": "ttl_s", "ttl": "ttl_s"}),
}


def _parse_table(table: dict[Any, Any]) -> HookResult:
    kind = table.get("type", table.get("action"))
    if not isinstance(kind, str) or kind not in _TABLES:
        raise refused("a table whose `type` is one of " + ", ".join(sorted(_TABLES)), kind)
    if kind == "cancel":  # A veto is never lost to a missing or stray field.
        reason = table.get("reason")
        return Cancel(reason if isinstance(reason, str) and reason else "no reason given")
    build, fields = _TABLES[kind]
    arguments: dict[str, Any] = {}
    for name, value in table.items():
        if name in {"type", "action"}:
            continue
        argument = fields.get(name)
        if argument is None or argument in arguments:
            raise refused(f"{kind} with the fields {', '.join(fields) or '(none)'}", name)
        arguments[argument] = _whole(value) if argument in {"delay_ms", "attempts"} else value
    try:
        return build(**arguments)
    except TypeError:
        raise refused(f"{kind} with the field {next(iter(fields))}", sorted(map(str, table))) from None


def _whole(value: Any) -> Any:
    """Lua computes 2 * 500 as an integer but 1000 / 2 as 500.0: both are milliseconds."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def refused(wanted: str, found: object) -> InvalidInput:
    """The error for an answer that means nothing."""
    return InvalidInput(
        f"a hook's result is to be {wanted}; found {_shown(found)}",
        code="invalid-result",
        hint="return None to go on, or Continue, Modified, Cancel, Replace, Redirect, Retry, Fork, Cache or Skipped",
    )


def _shown(found: object) -> str:
    kind = type(found)
    if kind is str:
        return repr(str(found)[:80])
    return repr(found) if kind in {bool, float, type(None)} else f"a {kind.__name__}"


def _demand(holds: object, wanted: str, found: object) -> None:
    if not holds:
        raise refused(wanted, found)


def _demand_name(name: object, what: str) -> None:
    _demand(
        isinstance(name, str) and 0 < len(name) <= NAME_CHARS_MAX, f"{what}: a str of 1 to {NAME_CHARS_MAX} chars", name
    )


def _demand_int(number: object, least: int, most: int, what: str) -> None:
    _demand(type(number) is int and least <= number <= most, f"{what}: an int from {least} to {most}", number)
