"""Settings of the command line: from files, the environment and flags, in that order of growing precedence.

Files are the person's own (``llmspell.toml`` in the configuration folder) and the project's, the nearest
``llmspell.toml`` upwards, which wins. Every value knows where it was said. A key that does not exist is an error that
names it and its file: a setting with a typing mistake would otherwise be ignored in silence.

``load`` is pure; ``find_files`` and ``read_file`` are what touches the disk.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmspell.errors import InvalidInput

FILE_NAME = "llmspell.toml"
FILE_BYTES_MAX = 1 << 20
PREFIX = "LLMSPELL_"
COLORS = ("auto", "always", "never")
DURABILITIES = ("full", "process", "none")
MEMORY_MB_MAX = 2048
OTHER_VARIABLES = frozenset(
    {"LLMSPELL_DEBUG", "LLMSPELL_KEY", "LLMSPELL_KEY_COMMAND", "LLMSPELL_KEY_FILE", "LLMSPELL_KEYS"}
)
"""Variables of ours that are no settings. Which key to use is said by nobody's file: a project's could name a command
to run.
"""

Check = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and where it was said: ``default``, ``file PATH``, ``environment NAME`` or ``flag``."""

    key: str
    value: Any
    origin: str

    @property
    def given(self) -> bool:
        """Whether somebody said it, rather than nobody."""
        return self.origin != "default"

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {"key": self.key, "value": self.value, "origin": self.origin}


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file that was read: its path (relative paths inside are meant from its folder) and its text."""

    path: Path
    text: str


class Config:
    """All settings, by their dotted key."""

    def __init__(self, settings: Mapping[str, Setting], files: Sequence[Path] = ()) -> None:
        self._settings = dict(settings)
        self.files = tuple(files)
        """The files that had a say, the weakest first."""

    def __iter__(self) -> Iterator[Setting]:
        return iter(self._settings.values())

    def __getitem__(self, key: str) -> Setting:
        return self._settings[key]

    def value(self, key: str) -> Any:
        """The value of a key; None when nobody set it and it has no default."""
        return self._settings[key].value


def load(files: Sequence[ConfigFile], environ: Mapping[str, str], flags: Mapping[str, Any]) -> Config:
    """The settings that ``files`` (the weakest first), the environment and flags (None: not given) come to.

    Raises InvalidInput: ``unknown-setting``, ``invalid-setting``, ``invalid-config`` (a file that is not TOML).
    """
    settings = {key: Setting(key, default, "default") for key, (default, _) in KEYS.items()}
    for file in files:
        origin = f"file {file.path}"
        for key, value in _flatten(_parse(file), file.path):
            settings[key] = Setting(key, _checked(key, _from_folder(key, value, file.path.parent), origin), origin)
    if (color := _color_of(environ)) is not None:
        settings["color"] = color
    for key in KEYS:
        name = variable(key)
        if environ.get(name):
            origin = f"environment {name}"
            settings[key] = Setting(key, _checked(key, _number(key, environ[name]), origin), origin)
    for key, value in flags.items():
        if value is not None:
            settings[key] = Setting(key, _checked(key, value, "flag"), "flag")
    return Config(settings, [file.path for file in files])


def variable(key: str) -> str:
    """The environment variable of a key: ``LLMSPELL_SCRIPT_MEMORY_MB`` for ``script.memory_mb``."""
    return PREFIX + key.upper().replace(".", "_")


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like settings of ours and are none, sorted: typing mistakes, most likely."""
    known = OTHER_VARIABLES | {variable(key) for key in KEYS}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def find_files(start: Path, user_folder: Path) -> list[Path]:
    """The files that apply in the folder ``start``, the weakest first: the person's own, then the nearest upwards."""
    found = [user_folder / FILE_NAME] if (user_folder / FILE_NAME).is_file() else []
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return [*found, folder / FILE_NAME] if folder / FILE_NAME not in found else found
    return found


def read_file(path: Path) -> ConfigFile:
    """A file's text. Raises InvalidInput (``invalid-config``) when it cannot be read, or is far too long."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise InvalidInput(f"{path} is longer than {FILE_BYTES_MAX:,} bytes", code="invalid-config")
        return ConfigFile(path, path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInput(f"cannot read {path}: {exc}", code="invalid-config") from exc


# -- inside ------------------------------------------------------------------------------------------------------------


def _parse(file: ConfigFile) -> dict[str, Any]:
    try:
        return tomllib.loads(file.text)
    except tomllib.TOMLDecodeError as exc:
        raise InvalidInput(f"{file.path} is not TOML: {exc}", code="invalid-config") from None


def _flatten(tables: Mapping[str, Any], path: Path, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tables.items():
        key = above + name
        if isinstance(value, dict) and any(known.startswith(f"{key}.") for known in KEYS):
            yield from _flatten(value, path, f"{key}.")
        elif key in KEYS:
            yield key, value
        else:
            close = difflib.get_close_matches(key, KEYS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(KEYS)}"
            raise InvalidInput(f"{path} sets {key!r}, which is no setting", code="unknown-setting", hint=hint)


def _from_folder(key: str, value: Any, folder: Path) -> Any:
    """A relative store in a file is meant from that file's folder, wherever the command runs."""
    if key != "store" or type(value) is not str or value == ":memory:" or "://" in value or not value:
        return value
    return str(folder / Path(value).expanduser())


def _checked(key: str, value: Any, origin: str) -> Any:
    try:
        return KEYS[key][1](value)
    except ValueError as exc:
        raise InvalidInput(f"{key} is {exc}, not {value!r} ({origin})", code="invalid-setting") from None


def _number(key: str, text: str) -> Any:
    """What a variable's text means for a key of numbers; anything else stays for the check to refuse."""
    for kind in (int, float) if key.startswith("script.") else ():
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _color_of(environ: Mapping[str, str]) -> Setting | None:
    """The agreements that all programs share; ``LLMSPELL_COLOR`` is stronger."""
    for name, value in (("NO_COLOR", "never"), ("FORCE_COLOR", "always")):
        if environ.get(name) and not (name == "FORCE_COLOR" and environ[name] == "0"):
            return Setting("color", value, f"environment {name}")
    return None


def _text(value: Any) -> str:
    if type(value) is not str or not value or "\0" in value:
        raise ValueError("a path")
    return value


def _choice(*choices: str) -> Check:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return str(value)

    return check


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"a whole number from {low:,} to {high:,}")
        return value

    return check


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise ValueError("a number of seconds above 0")
    return float(value)


KEYS: dict[str, tuple[Any, Check]] = {
    "store": (None, _text),
    "durability": (None, _choice(*DURABILITIES)),
    "color": ("auto", _choice(*COLORS)),
    "script.memory_mb": (None, _whole(2, MEMORY_MB_MAX)),
    "script.timeout_s": (None, _seconds),
    "script.instructions": (None, _whole(1000, 1 << 60)),
}
"""Every setting with its default (None: what the library does by itself) and its check."""
