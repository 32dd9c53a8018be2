"""Time, ids and randomness are injected: only two modules may ask the machine for them.

A call hidden anywhere else would not be recorded, so a re-run from the record would differ from the first run. Only the
name matters, not the call: passing ``time.time`` on as a default is the same leak. Monotonic clocks measure waits and
are free; ``uuid.UUID`` and ``random.Random`` are values and a seeded generator.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tools.checks.names import Names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.checks.tree import Finding, Tree

RULE = "not-injected"
HOMES = frozenset({"src/llmspell/model/clock.py", "src/llmspell/model/ids.py"})
FORBIDDEN = frozenset(
    {
        "time.time",
        "time.time_ns",
        "time.localtime",
        "time.gmtime",
        "time.ctime",
        "time.clock_gettime",
        "time.clock_gettime_ns",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.datetime.today",
        "datetime.date.today",
        "os.urandom",
        "os.getrandom",
        "uuid.uuid1",
        "uuid.uuid4",
        "uuid.uuid6",
        "uuid.uuid7",
        "uuid.uuid8",
        "random.SystemRandom",
    }
)
# Of these modules everything is forbidden but the names listed.
FORBIDDEN_MODULES = {
    "random": frozenset({"Random"}),
    "secrets": frozenset({"compare_digest"}),
    "uuid_utils": frozenset({"UUID"}),
}


def check(tree: Tree) -> Iterator[Finding]:
    """Reads of the machine's clock, ids or randomness outside their two homes."""
    for source in tree.python("src"):
        if source.name in HOMES:
            continue
        names = Names(source.tree)
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
                dotted = names.dotted(node)
                if dotted is not None and _forbidden(dotted):
                    yield source.finding(RULE, node, f"{dotted}: take the clock, ids or randomness as an argument")


def _forbidden(dotted: str) -> bool:
    module, dot, rest = dotted.partition(".")
    if dot and module in FORBIDDEN_MODULES:
        return rest.partition(".")[0] not in FORBIDDEN_MODULES[module]
    return dotted in FORBIDDEN
