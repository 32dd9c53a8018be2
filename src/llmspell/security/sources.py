"""Where a master key comes from: a file, a command, an environment variable.

A source is called and gives a ``MasterKey``; it is asked again when the key was rotated. What must stay true: what was
read is in no message, no representation and no frame of ours when an error is raised. A key in a file or from a command
is 32 raw bytes, or text: 64 hexadecimal digits, or base64 of 32 bytes (both alphabets, padded or not), with white space
around it. Exactly 32 bytes are always taken raw. A variable holds text.
"""

from __future__ import annotations

import base64
import binascii
import errno
import os
import re
import selectors
import shlex
import stat
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmspell.errors import InvalidInput, NotFound, StorageFailed
from llmspell.model.arguments import at_home
from llmspell.outputs import without_waiting
from llmspell.security import variables
from llmspell.security.keyring_shared import MasterSource
from llmspell.security.keys import KEY_BYTES, MasterKey

COMMAND_TIMEOUT_S = 30.0
PIPE_TIMEOUT_S = 30.0
"""How long a key may take to come through a named pipe, or from a terminal."""
KEY_FILE_BYTES_MAX = 4096
"""A key takes 32 to 64 bytes; whatever is longer than this is none, and is not read to its end."""

_HEX = re.compile(rb"[0-9A-Fa-f]{64}")
_BASE64 = re.compile(rb"[0-9A-Za-z+/_-]{43}=?")


class InsecureKey(UserWarning):
    """A key lies more open than it should; the text says where and what to do."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key in a file. Warns (``InsecureKey``) when others than its owner may read or write it."""

    path: Path

    def __str__(self) -> str:
        return f"file {self.path}"

    def __call__(self) -> MasterKey:
        """Read the key. Raises NotFound (``key-missing``), StorageFailed (``key-unreadable``), InvalidInput
        (``invalid-key``).
        """
        self._warn()
        key = _parsed(read_key_file(self.path))
        if key is None:
            raise _no_key(str(self))
        return key

    @property
    def open_to_others(self) -> str | None:
        """The mode of the file when others than its owner may read or write it; None when not, or when nobody knows."""
        try:
            mode = self.path.stat().st_mode
        except OSError:
            return None  # Reading says what is the matter.
        return f"{stat.S_IMODE(mode):03o}" if os.name != "nt" and stat.S_ISREG(mode) and mode & 0o077 else None

    def _warn(self) -> None:
        if mode := self.open_to_others:
            warnings.warn(
                f"{self.path} holds a key and is open to others (mode {mode}): chmod 600 {self.path}",
                InsecureKey,
                stacklevel=3,
            )


@dataclass(frozen=True, slots=True)
class KeyCommand:
    """A key as a command prints it: ``KeyCommand(("pass", "show", "llmspell"))``. There is no shell in between.

    Its standard input is empty, its standard error is dropped. Raises InvalidInput (``invalid-key-command``) for
    what is no list of texts.
    """

    arguments: Sequence[str]
    timeout_s: float = COMMAND_TIMEOUT_S

    def __post_init__(self) -> None:
        words = self.arguments
        if isinstance(words, str) or not words or not all(type(one) is str and "\0" not in one for one in words):
            raise InvalidInput(
                "a key's command is a list of a program and its arguments", code="invalid-key-command",
                hint='there is no shell: ["pass", "show", "llmspell"], not "pass show llmspell"',
            )  # fmt: skip
        object.__setattr__(self, "arguments", tuple(words))

    def __str__(self) -> str:
        return f"command {self.arguments[0]}"  # Its arguments may hold a secret.

    def __repr__(self) -> str:
        return f"KeyCommand({self.arguments[0]!r}, …)"

    def __call__(self) -> MasterKey:
        """Run the command. Raises StorageFailed (``key-command-failed``: it cannot be started, ended with a status
        other than 0, printed far too much or took too long), InvalidInput (``invalid-key``).
        """
        key = _parsed(self._printed())
        if key is None:
            raise _no_key(f"what {self} printed")
        return key

    def _printed(self) -> bytes:
        output, problem = self._run()
        if problem is not None:
            output = b""
            raise StorageFailed(
                f"the key's {self} {problem}", code="key-command-failed", hint="run it by hand to see why"
            )
        return output

    def _run(self) -> tuple[bytes, str | None]:
        """What the command printed, and what went wrong. It raises nothing: its frame knows the arguments."""
        try:
            process = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
            )
        except OSError as exc:
            return b"", f"cannot be started: {exc.strerror}"
        with process:
            try:
                return _output(process, self.timeout_s)
            finally:
                process.kill()  # It may go on, or wait for somebody to read the rest.


@dataclass(frozen=True, slots=True)
class KeyVariable:
    """A key in an environment variable, as text. Programs that this process starts see it too."""

    name: str = variables.KEY

    def __str__(self) -> str:
        return f"environment {self.name}"

    def __call__(self) -> MasterKey:
        """Read the variable. Raises NotFound (``key-missing``), InvalidInput (``invalid-key``)."""
        if not os.environ.get(self.name):
            raise NotFound(f"the environment variable {self.name} is not set", code="key-missing")
        key = _parsed_text(os.environ[self.name].encode("utf-8", "surrogateescape"))
        if key is None:
            raise _no_key(
                f"the environment variable {self.name}", raw=False,
                hint=f"the path of a file with a key goes into {variables.KEY_FILE}, a command that prints one into"
                f" {variables.KEY_COMMAND}; a key exported with a passphrase is imported first: llmspell key import",
            )  # fmt: skip
        return key


def source_of_environment() -> MasterSource | None:
    """The source that a variable of ``variables`` names; None when none is set. Nothing is read yet.

    A command's words are parted as a shell parts them, and no shell runs. Raises InvalidInput (``invalid-key``: more
    than one of them is set; ``invalid-key-command``).
    """
    names = variables.given()
    if len(names) > 1:
        raise InvalidInput(
            f"{' and '.join(names)} are set, and a store has one key", code="invalid-key", hint="leave one of them set"
        )
    if not names or names == [variables.KEY]:
        return KeyVariable() if names else None
    if names == [variables.KEY_FILE]:
        return KeyFile(at_home(os.environ[variables.KEY_FILE]))
    words = _words(os.environ[variables.KEY_COMMAND])
    if not words:
        what = "no command" if words is not None else "a quote or a backslash that does not end"
        raise InvalidInput(
            f"{variables.KEY_COMMAND} holds {what}", code="invalid-key-command",
            hint="the words of a program and its arguments, with quotes that end: pass show llmspell",
        )  # fmt: skip
    return KeyCommand(words)


def source_of(key: object) -> MasterSource:
    """What a caller means by ``key=``: 32 bytes are the key, a path is a file with it; a source stays what it is.

    Raises InvalidInput (``invalid-key``) for anything else. Nothing is read yet.
    """
    if isinstance(key, MasterKey):
        return key
    if isinstance(key, bytes | bytearray):
        return MasterKey(key)
    if isinstance(key, str | os.PathLike):
        path = os.fspath(key)
        if isinstance(path, str) and path and "\0" not in path:
            return KeyFile(at_home(path))
    elif callable(key):
        return key
    what, key = type(key).__name__, None
    raise InvalidInput(f"a key is 32 bytes, a path or a source of one, not this {what}", code="invalid-key")


def parse_key(text: bytes) -> MasterKey:
    """The master key that bytes mean, raw or as text. Raises InvalidInput (``invalid-key``)."""
    key, text = _parsed(text), b""
    if key is None:
        raise _no_key("this")
    return key


# -- inside ------------------------------------------------------------------------------------------------------------


def _parsed(content: bytes) -> MasterKey | None:
    return MasterKey(content) if len(content) == KEY_BYTES else _parsed_text(content)


def _parsed_text(content: bytes) -> MasterKey | None:
    text = content.strip()
    if _HEX.fullmatch(text):
        return MasterKey(binascii.unhexlify(text))
    if _BASE64.fullmatch(text):
        return MasterKey(base64.b64decode(text.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/") + b"="))
    return None


def _words(command: str) -> list[str] | None:
    """The words of a command; None when it has no end. It may hold a secret, which no traceback is to show."""
    try:
        return shlex.split(command)
    except ValueError:
        command = ""
        return None


_IMPORT = "a key exported with a passphrase is imported first: llmspell key import"


def _no_key(where: str, *, raw: bool = True, hint: str = _IMPORT) -> InvalidInput:
    forms = f"{'32 raw bytes, ' if raw else ''}64 hexadecimal digits or base64 of 32 bytes"
    return InvalidInput(
        f"{where} is no key: a key is {forms}",
        code="invalid-key",
        hint=hint,
    )


def read_key_file(path: Path) -> bytes:
    """The first 4 KiB of a file, which may be a pipe or a terminal. Raises NotFound (``key-missing``), StorageFailed
    (``key-unreadable``).
    """
    try:
        with open(path, "rb", buffering=0, opener=without_waiting) as file:
            is_pipe = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
            content = None if is_pipe else file.read(KEY_FILE_BYTES_MAX)
            if content is None:  # Nothing is there yet.
                content = _read_pipe(file.fileno(), time.monotonic() + PIPE_TIMEOUT_S)
    except FileNotFoundError:
        raise NotFound(
            f"there is no key at {path}", code="key-missing", hint="bring the file back, or import the key"
        ) from None
    except OSError as exc:
        raise StorageFailed(f"cannot read the key at {path}: {exc.strerror}", code="key-unreadable") from exc
    if content is None:
        raise StorageFailed(
            f"no key came through {path} within {PIPE_TIMEOUT_S:g} s", code="key-unreadable",
            hint="start what writes to it",
        )  # fmt: skip
    return content


def _output(process: subprocess.Popen[bytes], timeout_s: float) -> tuple[bytes, str | None]:
    """What a process prints, the first 4 KiB of it, and what went wrong with it."""
    deadline = time.monotonic() + timeout_s
    output = _printed(process, deadline)
    if output is None:
        return b"", f"took longer than {timeout_s:g} s"
    if len(output) >= KEY_FILE_BYTES_MAX:
        return b"", "printed far more than a key"
    try:
        status = process.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return b"", f"took longer than {timeout_s:g} s"
    return (output, None) if status == 0 else (b"", f"ended with status {status}")


if sys.platform == "win32":  # pragma: no cover - the other branch is

    def _printed(process: subprocess.Popen[bytes], deadline: float) -> bytes | None:
        try:
            return process.communicate(timeout=deadline - time.monotonic())[0]
        except subprocess.TimeoutExpired:
            return None

    def _read_pipe(_descriptor: int, _deadline: float) -> bytes | None:
        raise OSError(errno.ENOTSUP, "there are no such pipes here")

else:

    def _printed(process: subprocess.Popen[bytes], deadline: float) -> bytes | None:
        """``communicate`` would take whatever comes, and wait for a grandchild that keeps the pipe open."""
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        return _read_pipe(process.stdout.fileno(), deadline)

    def _read_pipe(descriptor: int, deadline: float) -> bytes | None:
        """Read to the end or to the bound; None when the deadline comes first."""
        output = b""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while len(output) < KEY_FILE_BYTES_MAX:
                if not selector.select(max(0, deadline - time.monotonic())):
                    output = b""
                    return None
                try:
                    piece = os.read(descriptor, KEY_FILE_BYTES_MAX - len(output))
                except OSError:
                    output = b""
                    raise
                if not piece:
                    break
                output += piece
        return output
