"""How a hostile script may end: with a value, or stopped with one of some codes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stopped:
    """The run ended with one of these codes."""

    codes: frozenset[str]


MEMORY = Stopped(frozenset({"memory-limit"}))
BUDGET = Stopped(frozenset({"instruction-limit", "time-limit"}))
DEEP = Stopped(frozenset({"call-depth-limit", "memory-limit", "instruction-limit", "time-limit"}))
ANY_LIMIT = Stopped(MEMORY.codes | BUDGET.codes | DEEP.codes)
ERROR = Stopped(frozenset({"script-error"}))
REFUSED = Stopped(frozenset({"not-convertible"}))
DENIED = Stopped(frozenset({"not-available"}))
READ_ONLY = Stopped(frozenset({"read-only"}))
