"""``llmspell verify`` and ``llmspell stats``: is everything still right, and how much is there."""

from __future__ import annotations

from typing import Any

from llmspell.cli import printable
from llmspell.cli.exits import DAMAGED, Finished
from llmspell.cli.invocation import running

SHOWN_MAX = 50
"""Findings that are printed to people; --json has them all."""


def verify() -> None:
    """Check every entry's hash, every derived row against the journal, and all content.

    Sealed values are opened if their key is here; how many were not is said. Nothing is changed. Exit status 16 when
    something is damaged.
    """
    out = running.get().out
    with running.get().reading() as store, out.progress("verifying entries", None) as advance:
        report = store.verify(progress=advance)
    checked = ", ".join(f"{number:,} {noun.replace('_', ' ')}" for noun, number in report.checked.items())
    if out.json:
        out.one(report.to_dict(), "")
    elif report.ok:
        out.done({}, f"clean: checked {checked}")
    else:
        for finding in report.findings[:SHOWN_MAX]:
            out.write(printable.line(f"{finding.where}: {finding.what}"))
        if len(report.findings) > SHOWN_MAX:
            out.write(f"… and {len(report.findings) - SHOWN_MAX:,} more; --json has them all")
        out.write(f"damaged: {printable.count(len(report.findings), 'finding')}; checked {checked}")
    if report.unopened_why is not None:
        unopened = printable.count(report.checked["unopened_values"], "sealed value")
        out.note(f"{unopened} not opened: {report.unopened_why}")
    if not report.ok:
        raise Finished(DAMAGED)


def stats() -> None:
    """Count entries, sessions, artifacts and bytes."""
    with running.get().reading() as store:
        found = store.stats()
    running.get().out.fields(found, list(_rows(found)))


def _rows(found: dict[str, Any], above: str = "") -> Any:
    for key, value in found.items():
        name = f"{above}{key.replace('_', ' ')}"
        if isinstance(value, dict):
            yield from _rows(value, f"{name}: ")
        elif above.startswith("bytes"):
            yield name, f"{printable.size(value)} ({value:,})" if value >= 1000 else printable.size(value)
        elif type(value) is int:
            yield name, f"{value:,}"
        else:
            yield name, "-" if value is None else value
