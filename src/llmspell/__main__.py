"""``python -m llmspell``: the command line."""

from __future__ import annotations

import sys

from llmspell.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
