"""Every bound of the hooks room, in one value that the wiring may replace. Units are the last word of each name."""

from __future__ import annotations

import msgspec

from llmspell.errors import InvalidInput
from llmspell.model import limits as model_limits


class HookLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What hooks may cost an operation at most."""

    hooks_max: int = 1_000
    """Registered hooks of one store handle."""
    depth_max: int = 16
    """Hook runs inside hook runs; the next one is LimitExceeded, code ``hook-depth``."""
    redirects_max: int = 4
    """Redirects that one run follows."""
    retries_max: int = 100
    """Times that Retry results may begin one run again, all hooks together."""
    retry_wait_ms_max: int = 30_000
    """Sum of the delays that Retry results may add to one run."""
    async_timeout_ms: int = 5_000
    """Deadline of an async callback that states none."""
    timeout_ms_max: int = 600_000
    """Largest deadline that can be stated."""
    grace_ms: int = 250
    """What a callback past its deadline gets for its own cleaning up, before it is abandoned."""
    stuck_calls_max: int = 8
    """Abandoned calls of one hook that may still be running on worker threads; further ones fail at once."""
    result_bytes_max: int = model_limits.VALUE_BYTES_MAX
    """Largest value in a result, as JSON."""
    reason_chars_max: int = 1_000
    """A longer reason is cut: a veto is never lost to its length."""
    failures_kept: int = 256
    """Newest failures that ``Hooks.failures`` gives; the counters of each hook are exact."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise InvalidInput(f"{name} is an int above 0, not {value!r}", code="invalid-limit")


DEFAULT_LIMITS = HookLimits()
