"""Runs the blocks of one document in the current folder: ``python -m tools.snippets.one DOCUMENT``.

A process of its own for each document keeps their names, stores and event loops apart. Exits 1 at the first block that
fails, with its traceback: line numbers in it are those of the document.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import subprocess
import sys
import traceback
import types
from pathlib import Path

from tools.snippets import console
from tools.snippets.blocks import Block, blocks
from tools.snippets.printed import mismatch

LUA_TIMEOUT_S = 60


class Session:
    """The names and the event loop that the Python blocks of one document share."""

    def __init__(self, document: Path, runner: asyncio.Runner) -> None:
        self.document = document
        self.runner = runner
        self.module = types.ModuleType("snippet")
        sys.modules["snippet"] = self.module

    def run(self, block: Block) -> None:
        """Runs one block. Raises what the block raises, or AssertionError when it prints something else than shown."""
        if block.language == "console":
            console.run(block.text, block.line)
            return
        printed = self._python(block) if block.language == "python" else _lua(block)
        if block.output is not None and (difference := mismatch(block.output, printed)):
            raise AssertionError(f"line {block.line}: printed something else\n{difference}")

    def _python(self, block: Block) -> str:
        # Padded with empty lines, so that a traceback shows the lines of the document.
        source = "\n" * (block.line - 1) + block.text
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(source, str(self.document), "exec", flags=flags, dont_inherit=True)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            awaited = eval(code, self.module.__dict__)  # noqa: S307 - running the document is what this is for
            if code.co_flags & inspect.CO_COROUTINE:
                self.runner.run(awaited)
        return printed.getvalue()


def _lua(block: Block) -> str:
    script = Path(f"snippet-{block.line}.lua")
    script.write_text(block.text, encoding="utf-8")
    done = subprocess.run(
        ["llmspell", "run", str(script)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LUA_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"line {block.line}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def main(arguments: list[str]) -> int:
    """Exit status 0 when every block of the document ran as shown, 1 otherwise."""
    document = Path(arguments[0])
    with asyncio.Runner() as runner:
        session = Session(document, runner)
        for block in blocks(document.read_text(encoding="utf-8")):
            if block.no_run is None:
                try:
                    session.run(block)
                except BaseException as problem:  # noqa: BLE001 - a snippet may raise anything; it is told with its block
                    print(f"the {block.language} block at line {block.line} failed")
                    traceback.print_exception(problem, file=sys.stdout)
                    return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
