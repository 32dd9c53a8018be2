"""Runs a ``console`` block: each ``$ command`` in a shell, its output and exit status compared with what is shown."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass, field

from tools.snippets.printed import mismatch

TIMEOUT_S = 60
EXIT = re.compile(r"\s+#\s*exit (\d+)\s*$")
# What a document may show being run. Anything else is marked no-run: it would reach beyond the folder of the snippet.
PROGRAMS = frozenset({"llmspell", "cat", "ls", "echo", "printf", "mkdir", "head", "wc", "cp", "mv", "rm", "python"})


@dataclass
class Command:
    """One command of a block: 1-based line, the text for the shell, and what must come of it."""

    line: int
    text: str
    status: int = 0
    shown: list[str] = field(default_factory=list)


def commands(text: str, line: int) -> list[Command]:
    """The commands of a block that begins at a line. Text before the first ``$`` is an error: nothing printed it."""
    found: list[Command] = []
    for number, row in enumerate(text.splitlines(), start=line):
        if row.startswith("$ "):
            status = EXIT.search(row)
            found.append(Command(number, EXIT.sub("", row[2:]), int(status[1]) if status else 0))
        elif found and not found[-1].shown and found[-1].text.endswith("\\"):
            found[-1].text += "\n" + row.removeprefix("> ")
        elif found:
            found[-1].shown.append(row)
        elif row.strip():
            raise AssertionError(f"line {number}: a console block begins with a line '$ command'")
    return found


def run(text: str, line: int) -> None:
    """Runs the commands of a block in the current folder. Raises AssertionError with the line and the difference."""
    for command in commands(text, line):
        program = (shlex.split(command.text) or [""])[0]
        if program not in PROGRAMS:
            raise AssertionError(f"line {command.line}: {program!r} is not run in snippets; mark the block no-run")
        shell = ["bash", "-o", "pipefail", "-c", command.text]
        done = subprocess.run(
            shell,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
            text=True,
        )
        if done.returncode != command.status:
            told = f"exit status {done.returncode}, not {command.status}\n{done.stdout}"
            raise AssertionError(f"line {command.line}: $ {command.text}\n{told}")
        shown = "\n".join(command.shown)
        if shown.strip() and (difference := mismatch(shown, done.stdout)):
            raise AssertionError(f"line {command.line}: $ {command.text}\n{difference}")
