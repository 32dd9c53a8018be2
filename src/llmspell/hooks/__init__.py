"""Hooks: code of users at points before and after operations. Before-hooks may change or veto, after-hooks observe.

``Hooks`` is the room's service, one per store handle; a room asks ``point in hooks.armed`` and runs the point if so.
What must stay true: a failing, slow or hostile hook never harms the operation; what a hook answers has the effect that
the table in ``points`` states, or is refused. Names are loaded on first use: importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmspell.hooks.async_caller import AsyncCaller
    from llmspell.hooks.breaker import CONSERVATIVE, PRODUCTION, BreakerConfig
    from llmspell.hooks.callers import BlockingCaller, Caller
    from llmspell.hooks.context import HookContext
    from llmspell.hooks.hook import HookInfo, Priority
    from llmspell.hooks.limits import HookLimits
    from llmspell.hooks.outcome import HookFailure, HookReport, Outcome
    from llmspell.hooks.registry import HookHandle, Hooks
    from llmspell.hooks.results import (
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
    )

_HOMES = {
    "async_caller": ("AsyncCaller",),
    "breaker": ("BreakerConfig", "CONSERVATIVE", "PRODUCTION"),
    "callers": ("BlockingCaller", "Caller"),
    "context": ("HookContext",),
    "hook": ("HookInfo", "Priority"),
    "limits": ("HookLimits",),
    "outcome": ("HookFailure", "HookReport", "Outcome"),
    "registry": ("HookHandle", "Hooks"),
    "results": (
        "Cache",
        "Cancel",
        "Continue",
        "Fork",
        "HookResult",
        "Modified",
        "Redirect",
        "Replace",
        "Retry",
        "Skipped",
        "parse_result",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CONSERVATIVE",
    "PRODUCTION",
    "AsyncCaller",
    "BlockingCaller",
    "BreakerConfig",
    "Cache",
    "Caller",
    "Cancel",
    "Continue",
    "Fork",
    "HookContext",
    "HookFailure",
    "HookHandle",
    "HookInfo",
    "HookLimits",
    "HookReport",
    "HookResult",
    "Hooks",
    "Modified",
    "Outcome",
    "Priority",
    "Redirect",
    "Replace",
    "Retry",
    "Skipped",
    "parse_result",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
