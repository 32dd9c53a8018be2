"""Before something is deleted: what goes with it, and whether that is meant."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from llmspell.cli import printable
from llmspell.cli.output import Output
from llmspell.errors import InvalidInput, LlmspellError


def confirmed(
    out: Output,
    plan: Mapping[str, Any],
    sentence: str,
    *,
    yes: bool,
    dry_run: bool,
    verb: tuple[str, str] = ("delete", "deleted"),
) -> bool:
    """Whether to go on with ``delete …`` (or another verb). False: it was a dry run, which has been told.

    Asks on a terminal unless ``yes``. Raises InvalidInput (``needs-yes``) when nobody is there to ask, LlmspellError
    (``declined``) when the answer is no.
    """
    if dry_run:
        out.done({**plan, "dry_run": True}, f"would {verb[0]} {sentence}")
        return False
    if yes:
        return True
    if out.json or not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidInput(
            f"this would {verb[0]} {sentence}, and nobody is here to ask",
            code="needs-yes",
            hint=f"say --yes to {verb[0]} it, or --dry-run to see what would go",
        )
    print(printable.line(f"{verb[0].capitalize()} {sentence}? [y/N] "), end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise LlmspellError(f"nothing was {verb[1]}", code="declined")
    return True
