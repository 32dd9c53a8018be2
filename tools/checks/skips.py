"""A test that is skipped or expected to fail says why, and a test waits for events, not for time.

``pytest.skip``, ``mark.skip``, ``mark.skipif`` and ``mark.xfail`` need a reason of at least two words, and so does
``importorskip`` (its own message names the module, not what is lost without it). ``time.sleep`` and a non-zero
``asyncio.sleep`` in a test are a guess about the machine: they are refused. Where sleeping is what is tested (a hook
that hangs), the line says so: ``# sleep: the hook under test hangs``. Where a whole file is about that, a line of its
own does: ``# sleeps: the hooks under test hang``.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tools.checks.names import Names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.checks.tree import Finding, Source, Tree

# Dotted name -> does the first positional argument carry the reason?
SKIPS = {
    "pytest.skip": True,
    "pytest.xfail": True,
    "pytest.fail": True,
    "pytest.mark.skip": True,
    "pytest.mark.skipif": False,
    "pytest.mark.xfail": False,
    "pytest.importorskip": False,
}
FILE_MEANT = re.compile(r"^# sleeps: \S+ \S+", re.MULTILINE)
MEANT = re.compile(r"# sleep: \S+ \S+")
NEEDS_CALL = frozenset({"pytest.mark.skip", "pytest.mark.xfail", "pytest.mark.skipif"})


def check(tree: Tree) -> Iterator[Finding]:
    """Skips without a reason, and sleeps, in the tests."""
    for source in tree.python("tests"):
        names = Names(source.tree)
        called = {id(node.func) for node in ast.walk(source.tree) if isinstance(node, ast.Call)}
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call):
                yield from _judge(source, names.dotted(node.func), node)
            elif isinstance(node, ast.Attribute) and id(node) not in called and names.dotted(node) in NEEDS_CALL:
                yield source.finding("skip-reason", node, f"{names.dotted(node)} without a reason")


def _judge(source: Source, name: str | None, call: ast.Call) -> Iterator[Finding]:
    if name in SKIPS and not _has_reason(call, positional=SKIPS[name]):
        yield source.finding("skip-reason", call, f"{name} needs reason= with at least two words")
    sleeps = name == "time.sleep" or (name == "asyncio.sleep" and not _yields_only(call))
    line = source.text.splitlines()[call.lineno - 1]
    if sleeps and not MEANT.search(line) and not FILE_MEANT.search(source.text):
        yield source.finding("sleep", call, "wait for an event with a deadline instead of for time to pass")


def _has_reason(call: ast.Call, *, positional: bool) -> bool:
    given = [keyword.value for keyword in call.keywords if keyword.arg in {"reason", "msg"}]
    given += call.args[:1] if positional else []
    return any(
        len(value.value.split()) > 1 if isinstance(value, ast.Constant) and isinstance(value.value, str) else True
        for value in given
    )


def _yields_only(call: ast.Call) -> bool:
    """``asyncio.sleep(0)`` hands the turn on once; it waits for nothing."""
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
