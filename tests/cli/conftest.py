"""Running command lines: in this process for most claims, as a process of its own where the process is the claim."""

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from llmspell.cli.main import main


@dataclass(frozen=True)
class Ran:
    """What a command line came to."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        """The one JSON value on stdout."""
        return json.loads(self.out)

    @property
    def error(self):
        """The error object on stdout."""
        return self.json["error"]


class _Stdin:
    def __init__(self, content):
        self.buffer = io.BytesIO(content)

    def isatty(self):
        return False


@pytest.fixture
def cli(tmp_path, monkeypatch, capfdbinary):
    """``cli("state", "get", "k")`` in an empty folder; ``stdin=`` gives bytes."""
    monkeypatch.chdir(tmp_path)

    def run(*words, stdin=b""):
        monkeypatch.setattr(sys, "stdin", _Stdin(stdin))
        capfdbinary.readouterr()
        status = main(words)
        sys.stdout.flush()
        sys.stderr.flush()
        out, err = capfdbinary.readouterr()
        return Ran(status, out.decode(), err.decode())

    return run


@pytest.fixture
def ok(cli):
    """Like ``cli``, for lines that must succeed."""

    def run(*words, stdin=b""):
        ran = cli(*words, stdin=stdin)
        assert ran.status == 0, ran
        return ran

    return run


@pytest.fixture
def process(tmp_path):
    """``process("state", "list")`` as a process of its own; gives the finished process, streams as bytes."""

    def run(*words, env=(), **more):
        environment = {**os.environ, **dict(env)}
        command = [sys.executable, "-m", "llmspell", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False, **more
        )

    return run
