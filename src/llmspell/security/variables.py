"""The environment variables that name a key, or the folder of keys.

Apart from ``sources``, so that whoever only asks whether one is set imports nothing else.
"""

from __future__ import annotations

import os

KEY = "LLMSPELL_KEY"
"""The key itself, as text."""
KEY_FILE = "LLMSPELL_KEY_FILE"
"""The path of a file with it."""
KEY_COMMAND = "LLMSPELL_KEY_COMMAND"
"""A command that prints it, its words as a shell would part them."""
FOLDER = "LLMSPELL_KEYS"
"""The folder of keyrings, and of keys that were made by themselves."""


def given() -> list[str]:
    """Those that are set and name a key. An empty one is not set."""
    return [name for name in (KEY, KEY_FILE, KEY_COMMAND) if os.environ.get(name)]
