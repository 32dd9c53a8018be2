"""Whether what a callback gave is a result that its point allows, made the store's own and checked.

What must stay true: nothing a hook returns reaches a room unchecked; a result that is refused raises here, and the
runner counts the hook as failed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from llmspell.errors import InvalidInput
from llmspell.hooks.copies import detached
from llmspell.hooks.limits import HookLimits
from llmspell.hooks.points import Rule
from llmspell.hooks.results import (
    RESULT_TYPES,
    Cache,
    Cancel,
    Continue,
    Fork,
    HookResult,
    Modified,
    Redirect,
    Replace,
    Retry,
    Skipped,
    parse_result,
    refused,
    result_name,
)


class Judge(msgspec.Struct, frozen=True):
    """The rule of one point and the bounds on what results may hold."""

    point: str
    rule: Rule
    limits: HookLimits

    def accept(self, value: Any, data: dict[str, Any], *, script: bool) -> HookResult | None:
        """The result to act on, None for Continue. ``data`` is what the hook was shown, ``script`` whether its language
        has shapes instead of our values. Raises InvalidInput or LimitExceeded.
        """
        result = parse_result(value) if script else value
        kind = _kind(result)
        if kind is None:
            raise refused("one of our results or None", value)
        if kind not in self.rule.effects:
            allowed = ", ".join(sorted(result_name(each) for each in self.rule.effects))
            raise InvalidInput(
                f"{result_name(kind)} means nothing at {self.point}",
                code="invalid-result",
                hint=f"allowed are {allowed}",
            )
        if kind is Continue:
            return None
        own: HookResult | None = _OWN[kind](self, result, data)
        return own

    def own_modified(self, result: Modified, data: dict[str, Any]) -> HookResult | None:
        """The named fields, copied; a field that may not be changed is tolerated as long as it is unchanged."""
        allowed = self.rule.fields
        fields: dict[str, Any] = {}
        given = result.data
        for name, value in list(given.items()):
            if type(name) is not str:
                raise InvalidInput("fields are named by str", code="invalid-result")
            if allowed is None:
                fields[name] = detached(value, self.limits.result_bytes_max)
            elif name in allowed:
                fields[name] = detached(value, self.limits.result_bytes_max)
                allowed[name](name, fields[name])
            elif name not in data or data[name] != value:
                raise InvalidInput(
                    f"the field {name[:80]!r} cannot be modified at {self.point}",
                    code="invalid-result",
                    hint=f"these can: {', '.join(allowed)}",
                )
        target = self.rule.target
        if target in fields and fields[target] != data.get(target):
            return self.own_redirect(Redirect(fields[target]), data)
        return Modified(fields) if fields else None

    def own_cancel(self, result: Cancel, _: dict[str, Any]) -> HookResult:
        """With a reason of bounded length."""
        return Cancel(self._text(result.reason))

    def own_skipped(self, result: Skipped, _: dict[str, Any]) -> HookResult:
        """With a reason of bounded length."""
        return Skipped(self._text(result.reason))

    def own_replace(self, result: Replace, _: dict[str, Any]) -> HookResult:
        """With a result that is a value."""
        return Replace(detached(result.result, self.limits.result_bytes_max))

    def own_redirect(self, result: Redirect, data: dict[str, Any]) -> HookResult | None:
        """To a target that the room's rules accept; None when it is the present one."""
        target = self.rule.check_target(str.__str__(result.target))
        if self.rule.target is not None and data.get(self.rule.target) == target:
            return None
        return Redirect(target)

    def own_retry(self, result: Retry, _: dict[str, Any]) -> HookResult:
        """As it is: two bounded ints."""
        return result

    def own_fork(self, result: Fork, _: dict[str, Any]) -> HookResult:
        """With operations that are values."""
        return Fork(detached(list(result.operations), self.limits.result_bytes_max))

    def own_cache(self, result: Cache, _: dict[str, Any]) -> HookResult:
        """As it is: a bounded key and a number."""
        return Cache(str.__str__(result.key), result.ttl_s)

    def _text(self, reason: str) -> str:
        most = self.limits.reason_chars_max
        text = str.__str__(reason)
        if len(text) > most:
            text = text[: most - 1] + "…"
        return text.encode(errors="replace").decode()


_OWN: dict[type[HookResult], Any] = {
    Modified: Judge.own_modified,
    Cancel: Judge.own_cancel,
    Skipped: Judge.own_skipped,
    Replace: Judge.own_replace,
    Redirect: Judge.own_redirect,
    Retry: Judge.own_retry,
    Fork: Judge.own_fork,
    Cache: Judge.own_cache,
}


def _kind(result: Any) -> type[HookResult] | None:
    """The kind of result, also of a user's subclass; None when it is none. Asks the type, which cannot be forged."""
    for base in type(result).__mro__:
        if base in _KINDS:
            return base
    return Continue if result is None else None


_KINDS = frozenset(RESULT_TYPES)
