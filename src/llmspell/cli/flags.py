"""Options that every command takes, wherever they stand on the line: ``llmspell --json state list`` as well as
``llmspell state list --json``.

They are taken out of the line before the command is looked up, so that even an error in the rest is reported as
``--json`` asks. Words behind ``--`` are left alone. ``--yes`` and ``--dry-run`` belong to the commands that know them
and are only moved behind the command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmspell.errors import InvalidInput

_SWITCHES = {
    "--json": "json", "-q": "quiet", "--quiet": "quiet", "-v": "verbose", "--verbose": "verbose",
    "--no-color": "no_color",
}  # fmt: skip
_VALUED = {"--store": "store", "--durability": "durability", "--color": "color"}
_MOVED = {"--yes": "--yes", "-y": "--yes", "--dry-run": "--dry-run"}

HELP = """Everywhere: --store PATH (which store; default: LLMSPELL_STORE, the nearest .llmspell upwards, ./.llmspell), \
--json (for programs), -q/--quiet, -v/--verbose (tracebacks), --durability full|process|none, --no-color, \
--color auto|always|never. A value that begins with - goes behind -- or after = (--name=-x). \
`llmspell --version` prints the version."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The options of one command line that are not a command's own. None: not given."""

    store: str | None = None
    durability: str | None = None
    color: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def settings(self) -> dict[str, str | None]:
        """Those that are settings, as ``llmspell.config.load`` takes them."""
        return {"store": self.store, "durability": self.durability, "color": self.color}


def split(words: Sequence[str]) -> tuple[Flags, list[str]]:
    """The common options, and the rest of the line. Raises InvalidInput (``usage``)."""
    found: dict[str, str | bool] = {}
    rest: list[str] = []
    moved: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            return _flags(found), [*rest, *moved, "--", *queue]
        name, equals, value = word.partition("=")
        if word in _SWITCHES:
            found[_SWITCHES[word]] = True
        elif word in _MOVED:
            moved.append(_MOVED[word])
        elif name in _VALUED:
            _put(found, name, value if equals else _next(name, queue))
        else:
            rest.append(word)
    return _flags(found), [*rest, *moved]


def wants_json(words: Sequence[str]) -> bool:
    """Whether ``--json`` stands on a line that could not be split."""
    own = words[: words.index("--")] if "--" in words else words
    return "--json" in own


def _next(name: str, queue: list[str]) -> str:
    if not queue or queue[0] == "--":
        raise InvalidInput(f"{name} needs a value", code="usage", hint=f"give it as {name} VALUE")
    return queue.pop(0)


def _put(found: dict[str, str | bool], name: str, value: str) -> None:
    field = _VALUED[name]
    if field in found:
        raise InvalidInput(f"{name} is given twice", code="usage")
    if not value:
        raise InvalidInput(f"{name} needs a value", code="usage", hint=f"give it as {name} VALUE")
    found[field] = value


def _flags(found: dict[str, str | bool]) -> Flags:
    if found.pop("no_color", False):
        if "color" in found:
            raise InvalidInput("--color and --no-color are given together", code="usage")
        found["color"] = "never"
    if found.get("quiet") and found.get("verbose"):
        raise InvalidInput("--quiet and --verbose are given together", code="usage")
    return Flags(**found)  # type: ignore[arg-type]
