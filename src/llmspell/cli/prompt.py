"""Reading what a person (or a pipe) gives the prompt: lines until they make a whole, with a history that is kept.

On a terminal there is a prompt, editing and a history file; from a pipe nothing is shown but results.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HISTORY_LINES_MAX = 2000
FIRST, MORE = "> ", ">> "


class Lines:
    """Lines of stdin, with a prompt where a person reads it."""

    def __init__(self, *, interactive: bool) -> None:
        self.interactive = interactive

    def read(self, prompt: str) -> str | None:
        """The next line without its end; None when there are no more. KeyboardInterrupt goes through."""
        if self.interactive:
            try:
                return input(prompt)
            except EOFError:
                print()
                return None
        line = sys.stdin.readline()
        return line.rstrip("\n") if line else None


def converse(lines: Lines, take: Callable[[str], bool]) -> str:
    """Hand over what is read: each line alone, or with those before it that ``take`` wanted more of (it gave False).

    Gives what was begun and never became a whole. On a terminal Ctrl-C drops the piece begun and goes on.
    """
    text = ""
    while True:
        try:
            line = lines.read(MORE if text else FIRST)
            if line is None:
                return text
            text = f"{text}\n{line}" if text else line
            if not text.strip() or take(text):
                text = ""
        except KeyboardInterrupt:
            if not lines.interactive:
                raise
            print(file=sys.stderr)
            text = ""


@contextmanager
def history(path: Path, *, interactive: bool) -> Iterator[None]:
    """Line editing with what was typed before; what is typed now is kept in ``path``, readable by its owner only."""
    if not interactive:
        yield
        return
    try:
        import readline
    except ImportError:  # not part of every Python
        yield
        return
    with suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(HISTORY_LINES_MAX)
    try:
        yield
    finally:
        with suppress(OSError):  # a history that cannot be kept is no reason to fail
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            readline.write_history_file(path)
            path.chmod(0o600)
