"""What may be said of a hook when it is registered, checked part by part."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from enum import Enum
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.hooks.breaker import BreakerConfig
from llmspell.hooks.hook import Callback, OnFailure, Traits, priority_of
from llmspell.hooks.limits import HookLimits
from llmspell.hooks.points import rule_of
from llmspell.model import limits as model_limits
from llmspell.model.arguments import gives_coroutine
from llmspell.model.telling import told


class DefaultBreaker(Enum):
    """The breaker of a hook that states none."""

    DEFAULT = "default"


DEFAULT_BREAKER = DefaultBreaker.DEFAULT
_DENYING = BreakerConfig(slow_calls=None)
"""For hooks that deny: failures open it, so that a dead service is not asked each time; slowness refuses nothing."""


def check_callback(callback: object) -> bool:
    """Whether calling it gives a coroutine. Raises InvalidInput (``invalid-callback``) for what cannot be called with a
    context, and for generators.
    """
    import inspect

    inner = callback
    while isinstance(inner, functools.partial):
        inner = inner.func
    if not callable(inner) or isinstance(inner, type):
        raise InvalidInput(
            f"a hook is a function that takes the context, not a {type(callback).__name__}", code="invalid-callback"
        )
    asynchronous = gives_coroutine(inner, "a hook, which returns one result,")
    try:
        inspect.signature(callback).bind(None)  # type: ignore[arg-type]
    except TypeError as exc:
        raise InvalidInput(f"a hook is called with one argument, the context: {exc}", code="invalid-callback") from None
    except ValueError:
        pass  # built in C without a signature: the first call will tell
    return asynchronous


def traits_of(
    callback: Callback,
    point: str,
    limits: HookLimits,
    *,
    name: str | None,
    priority: int | str,
    timeout_ms: float | None,
    on_failure: OnFailure,
    breaker: BreakerConfig | DefaultBreaker | None,
    tags: Iterable[str],
    language: str,
    description: str,
    version: str,
) -> Traits:
    """All of it, checked. Raises InvalidInput that names the part."""
    if on_failure not in ("allow", "deny"):
        raise InvalidInput("on_failure is 'allow' or 'deny', and nothing else", code="invalid-on-failure")
    if on_failure == "deny" and not rule_of(point).deniable:
        raise InvalidInput(
            f"nothing can be refused at {point}: it has happened when its hooks run",
            code="invalid-on-failure",
            hint="register at the before_ point, or with on_failure='allow'",
        )
    if timeout_ms is not None and (type(timeout_ms) not in {int, float} or not 0 < timeout_ms <= limits.timeout_ms_max):
        raise InvalidInput(
            f"timeout_ms is a number above 0 up to {limits.timeout_ms_max:,}, not {told(timeout_ms)}",
            code="invalid-timeout",
        )
    if breaker is DEFAULT_BREAKER:
        breaker = _DENYING if on_failure == "deny" else BreakerConfig()
    elif breaker is not None and not isinstance(breaker, BreakerConfig):
        raise InvalidInput("breaker is a BreakerConfig, or None for none", code="invalid-breaker")
    return Traits(
        name=_text("name", _name_of(callback) if name is None else name, 1, model_limits.NAME_CHARS_MAX),
        priority=priority_of(priority),
        timeout_ms=timeout_ms,
        on_failure=on_failure,
        breaker=breaker,
        tags=_tags(tags),
        language=_text("language", language, 1, 40),
        description=_text("description", description, 0, model_limits.DESCRIPTION_CHARS_MAX),
        version=_text("version", version, 1, 100),
    )


def _name_of(callback: Any) -> str:
    while isinstance(callback, functools.partial):
        callback = callback.func
    name = getattr(callback, "__qualname__", None) or type(callback).__qualname__
    return str(name)[-model_limits.NAME_CHARS_MAX :]


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise InvalidInput("tags are several: give a list or tuple of str", code="invalid-tags")
    listed = tuple(_text("a tag", tag, 1, model_limits.TAG_CHARS_MAX) for tag in tags)
    if len(listed) > model_limits.TAGS_MAX:
        raise InvalidInput(f"a hook has at most {model_limits.TAGS_MAX} tags", code="invalid-tags")
    return tuple(dict.fromkeys(listed))


def _text(what: str, text: object, least: int, most: int) -> str:
    if type(text) is not str or not least <= len(text) <= most:
        raise InvalidInput(f"{what} is a str of {least} to {most:,} characters", code="invalid-hook", field=what)
    return text
