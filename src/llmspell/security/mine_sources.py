"""Where a master key comes from: bytes, a file, a command, the environment, or a file made in the user's key folder.

The key folder is never inside a store: who copies a store copies no key. No message tells what a file or command said.
"""

from __future__ import annotations

import os
import subprocess
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Sequence
from pathlib import Path

from llmspell.errors import InvalidInput, NotFound, StorageFailed, WrongKey
from llmspell.security.keys import KEY_BYTES, MasterKey

KEY_VARIABLE = "LLMSPELL_KEY"
FOLDER_VARIABLE = "LLMSPELL_KEYS"
_COMMAND_TIMEOUT_S = 30.0
_FILE_BYTES_MAX = 4096

KeySource = bytes | str | os.PathLike[str] | Sequence[str]
"""32 bytes, the path of a file, or a command as a list of words (never a shell's line)."""


def key_folder() -> Path:
    """Where keys are kept that nobody named another place for: ``LLMSPELL_KEYS``, else in the user's data folder."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("llmspell", appauthor=False) / "keys"


class Master:
    """The master key of one store, asked for when it is first needed and again when another process rotated it."""

    def __init__(self, source: KeySource | None, folder: Path, store_id: str) -> None:
        self._source = source
        self.file = folder / f"{store_id}.key"

    def __call__(self) -> MasterKey:
        """The key. Raises NotFound (``key-missing``) when there is none yet, WrongKey, InvalidInput, StorageFailed."""
        source = self._source
        if source is None and KEY_VARIABLE in os.environ:
            return _read(os.environ[KEY_VARIABLE].encode(), f"the variable {KEY_VARIABLE}")
        if source is None:
            if not self.file.is_file():
                raise NotFound(f"there is no key at {self.file}", code="key-missing")
            return key_of_file(self.file)
        if isinstance(source, bytes | bytearray):
            return MasterKey(source)
        if isinstance(source, str | os.PathLike):
            return key_of_file(Path(source))
        return _from_command(list(source))

    @property
    def told(self) -> str:
        """Where it comes from, for a person."""
        source = self._source
        if source is None:
            return f"the variable {KEY_VARIABLE}" if KEY_VARIABLE in os.environ else f"the key file {self.file}"
        if isinstance(source, bytes | bytearray):
            return "the caller"
        if isinstance(source, str | os.PathLike):
            return f"the key file {os.fspath(source)}"
        return f"the command {next(iter(source))!r}"

    @property
    def makes_own(self) -> bool:
        """Whether a key may be made here, because nobody named one."""
        return self._source is None and KEY_VARIABLE not in os.environ

    def make(self) -> MasterKey:
        """Make a key in the key folder, unless another process was quicker; it is on disk when this returns."""
        return self._make(self.file)

    def make_next(self) -> MasterKey:
        """Make, or find, the key that is to follow: beside the present one until ``turn``."""
        return self._make(self.following)

    def turn(self) -> None:
        """The key that followed is the key."""
        try:
            self.following.replace(self.file)
            _sync_folder(self.file.parent)
        except OSError as exc:
            raise StorageFailed(f"cannot replace {self.file}: {exc.strerror}", code="cannot-make-key") from exc

    @property
    def following(self) -> Path:
        """The file of the key that is to follow."""
        return self.file.with_name(f"{self.file.name}.next")

    def _make(self, file: Path) -> MasterKey:
        folder = file.parent
        text = b64encode(MasterKey.generate().reveal()) + b"\n"
        whole = file.with_name(f"{file.name}.{os.getpid()}.new")
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(descriptor, text)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            try:
                os.link(whole, file)  # Unlike a rename, a link never replaces what another process made.
            except FileExistsError:
                pass
            finally:
                whole.unlink()
            _sync_folder(folder)
        except OSError as exc:
            raise StorageFailed(f"cannot make a key at {file}: {exc.strerror}", code="cannot-make-key") from exc
        return key_of_file(file)


def key_of_file(path: Path) -> MasterKey:
    """The key in a file. Raises NotFound (``key-missing``), WrongKey (``no-key``)."""
    try:
        with path.open("rb") as file:
            text = file.read(_FILE_BYTES_MAX + 1)
    except OSError as exc:
        raise NotFound(f"cannot read the key file {path}: {exc.strerror}", code="key-missing") from exc
    return _read(text, f"the key file {path}")


def _from_command(words: list[str]) -> MasterKey:
    if not words or not all(isinstance(word, str) for word in words):
        raise InvalidInput("a command that gives a key is a list of words", code="invalid-key")
    try:
        done = subprocess.run(
            words, capture_output=True, timeout=_COMMAND_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, ValueError) as exc:
        raise StorageFailed(f"the command {words[0]!r} for the key cannot be run: {exc}", code="key-command") from exc
    except subprocess.TimeoutExpired:
        raise StorageFailed(
            f"the command {words[0]!r} gave no key within {_COMMAND_TIMEOUT_S:g} s", code="key-command"
        ) from None
    if done.returncode:
        raise StorageFailed(
            f"the command {words[0]!r} for the key ended with status {done.returncode}", code="key-command"
        )
    return _read(done.stdout, f"the command {words[0]!r}")


def _read(text: bytes, where: str) -> MasterKey:
    """A key as 32 bytes, 64 hex digits or base64 with white space around."""
    if len(text) == KEY_BYTES:
        return MasterKey(text)
    bare = text.strip()
    try:
        raw = bytes.fromhex(bare.decode()) if len(bare) == 2 * KEY_BYTES else b64decode(bare, validate=True)
    except (ValueError, Error):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise WrongKey(f"{where} holds no key: 32 bytes, as they are, in hex or in base64", code="no-key")
    return MasterKey(raw)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
