"""The entry point of ``llmspell``: answers ``--version`` by itself, hands everything else to the dispatcher.

Nothing is imported here that ``--version`` does not need: an editor or a prompt may ask for it many times a day.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (by default the process's own) and return its exit status; see ``llmspell.cli.exits``."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["--version"], ["-V"]) and sys.stdout is not None:
        from llmspell import __version__

        print(f"llmspell {__version__}")
        return 0
    try:
        from llmspell.cli.dispatch import dispatch

        return dispatch(words)
    except KeyboardInterrupt:
        return INTERRUPTED
