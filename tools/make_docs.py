"""Writes the tables of the documents that say what the code says: names, errors, kinds, limits, and results of hooks.

    python tools/make_docs.py            write them
    python tools/make_docs.py --check    fail when one of them is not what this would write

A table stands in a page of its own (``PAGES``), or between ``<!-- generated: NAME -->`` and ``<!-- end -->`` in a page
that people write.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from llmspell import errors
from llmspell.artifacts import blob
from llmspell.entry_kinds import KINDS
from llmspell.events import buffer, patterns
from llmspell.hooks.limits import HookLimits
from llmspell.hooks.points import markdown
from llmspell.journal.kinds import Kind
from llmspell.model import limits
from llmspell.model.names import rows

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "llmspell"
KEBAB = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*").fullmatch
MARKED = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOTE = "<!-- Written by tools/make_docs.py from the code; change it there. -->\n\n"

NAMES = """# Names

What each point, event type and alias means. One table in `llmspell.model.names` decides; Python, scripts and the
command line read it. A name is accepted in any spelling of its row and always shown in the first column's.

A point marked "not yet" is a name that is known and can be registered for, but no part of this version triggers it;
those of agents, tools and workflows are for whoever runs these, by `store.hooks.trigger`. A kind marked
so is not written yet.

Any other name with a dot whose first part is no room of the store (`pipeline.validate`) is a custom point, or an event
type of your own. A point that does not exist is refused (`unknown-point`) with the nearest names; an event type is not.

"""
ERRORS = """# Errors

Every error is a `llmspell.LlmspellError` with a stable `code`, a message, often a `hint`, and `details` of JSON types.
Catch the class for what you can do about it, look at the code for which case it was.

"""
CODES = """
## Codes

The code of an error is that of its class unless a narrower one is listed here. Codes are stable: they are not renamed
between releases.

"""
TRIGGERED = frozenset(
    f"{moment}_{room}_{verb}"
    for moment in ("before", "after")
    for room, verbs in {
        "state": "get set delete clear copy move",
        "session": (
            "create open update suspend resume complete fail archive unarchive save restore checkpoint delete"
            " fork export import"
        ),
        "artifact": "put get update delete undelete capture",
        "event": "publish",
        "agent": "save append delete",
        "migration": "apply batch",
        "schema": "register",
    }.items()
    for verb in verbs.split()
) | {"state_conflict"}
"""The points that the store's rooms run; a test holds this against what really fires."""
HANDED_ROOMS = ("agent", "tool", "workflow")
KINDS_PAGE = """# Kinds of entries

The payloads of the journal, by kind. `apply` says what the entry changes in the projections; without it the entry
changes none. Every payload is one JSON object; ids are UUID text, digests hexadecimal, times nanoseconds since 1970.

"""
LIMITS = """# Limits

What the store refuses above, and what it bounds itself by. The last word of a name is its unit.

"""


def main(arguments: list[str] | None = None) -> int:
    """Write the pages, or with --check compare them. Exit status 1 when one is not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is not current")
    check = parser.parse_args(arguments).check
    stale = []
    for path, text in wanted().items():
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale.append(path.relative_to(ROOT))
        if not check:
            path.write_text(text, "utf-8")
    if check and stale:
        print(f"not current: {', '.join(map(str, stale))}; run python tools/make_docs.py")
        return 1
    return 0


def wanted() -> dict[Path, str]:
    """Each page with generated text, as it should be."""
    pages = {DOCS / name: NOTE + make() for name, make in PAGES.items()}
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text("utf-8")
        if "<!-- generated: " in text and path not in pages:
            pages[path] = MARKED.sub(lambda found: found[1] + PARTS[found[2]]() + found[3], text)
    return pages


def table(head: tuple[str, ...], lines: Iterator[tuple[str, ...]]) -> str:
    """A Markdown table."""
    shown = [head, tuple("---" for _ in head), *lines]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in shown)


def code(*words: str) -> str:
    """Words as code, with commas between."""
    return ", ".join(f"`{word}`" for word in words)


def names() -> str:
    """Points, kinds and groups with their aliases."""
    points = [row for row in rows() if row.sort == "point"]
    kinds = [row for row in rows() if row.sort == "event" and row.meaning != "these"]
    groups = [row for row in rows() if row.meaning == "these"]
    head = ("Name", "Also accepted", "Meaning", "Now")
    lines = ((code(row.canonical), code(*row.aliases), row.meaning, _since(row.canonical)) for row in (*points, *kinds))
    both = list(lines)
    return (
        f"{NAMES}## Points\n\n{table(head, iter(both[: len(points)]))}"
        f"\n## Event types and kinds of entries\n\n{table(head, iter(both[len(points) :]))}"
        "\nOne name for several kinds:\n\n"
        + table(("Name", "Stands for"), ((code(*row.aliases), code(*row.canonical.split(", "))) for row in groups))
    )


def _since(name: str) -> str:
    """Whether this version triggers a point, or writes a kind."""
    if name in TRIGGERED or name in KINDS:
        return "yes"
    return "yours to trigger" if any(f"{room}_" in name for room in HANDED_ROOMS) else "not yet"


def error_classes() -> dict[str, type[errors.LlmspellError]]:
    """The tree's classes by name, in the order of their definition."""
    found = {name: value for name, value in vars(errors).items() if inspect.isclass(value)}
    return {name: value for name, value in found.items() if issubclass(value, errors.LlmspellError)}


def error_pages() -> str:
    """The tree, and every narrower code with the rooms that raise it."""
    classes = error_classes()
    lines = (
        (
            code(name),
            code(cls.__mro__[1].__name__) if cls.__mro__[1] in classes.values() else "",
            code(cls.code),
            str(cls.exit_status),
            first_sentence(cls),
        )
        for name, cls in classes.items()
    )
    tree = table(("Class", "Is a", "Code", "Exit status", "Meaning"), lines)
    narrow = ((code(one), code(cls), ", ".join(sorted(rooms))) for (one, cls), rooms in sorted(raised_codes().items()))
    return ERRORS + tree + CODES + table(("Code", "Class", "Raised by"), narrow)


def first_sentence(thing: Any) -> str:
    """Of a docstring, on one line."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.;]) (?=[A-Z])", text)[0]


def raised_codes() -> dict[tuple[str, str], set[str]]:
    """(code, class) of every error that the sources make with a code of its own, and the rooms that do."""
    found: dict[tuple[str, str], set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for one, cls in Codes(ast.parse(path.read_text("utf-8"))).found():
            if one != error_classes()[cls].code:
                found.setdefault((one, cls), set()).add(room)
    return found


class Codes:
    """The codes that one module's errors get: by keyword, from a table of rows, or through a function of its own."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._classes = error_classes()
        assigned = [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)]
        self._constants = {node.targets[0].id: node.value for node in assigned if isinstance(node.targets[0], ast.Name)}

    def found(self) -> Iterator[tuple[str, str]]:
        """(code, class), in the order of the source."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self._classes:
                given = [word.value for word in node.keywords if word.arg == "code"]
                yield from ((one, node.func.id) for value in given for one in self._texts(value))
            elif isinstance(node, ast.Tuple) and len(node.elts) == 4 and isinstance(node.elts[0], ast.Name):
                cls = node.elts[0].id
                yield from ((one, cls) for one in self._texts(node.elts[1]) if cls in self._classes)
            elif isinstance(node, ast.FunctionDef):
                yield from self._through(node)

    def _through(self, function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
        """Codes handed to a function with an argument ``code`` that makes an error of it."""
        names = [arg.arg for arg in function.args.args]
        made = [node.func.id for node in ast.walk(function) if isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name) and node.func.id in self._classes]  # fmt: skip
        if "code" not in names or len(set(made)) != 1:
            return
        at = names.index("code")
        defaults = function.args.defaults[at - len(names) :][:1] if function.args.defaults else []
        calls = [node for node in ast.walk(self._tree) if isinstance(node, ast.Call)
                 and isinstance(node.func, ast.Name) and node.func.id == function.name]  # fmt: skip
        values = [*defaults, *(call.args[at] for call in calls if len(call.args) > at)]
        yield from ((one, made[0]) for value in values for one in self._texts(value))

    def _texts(self, value: ast.expr) -> list[str]:
        if isinstance(value, ast.Name):
            value = self._constants.get(value.id, value)
        if isinstance(value, ast.IfExp):
            return self._texts(value.body) + self._texts(value.orelse)
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and KEBAB(value.value):
            return [value.value]
        return []


def kinds() -> str:
    """Every kind with its payload's fields."""
    parts = [KINDS_PAGE.rstrip("\n")]
    for name in KINDS.names():
        kind: Kind = KINDS.get(name, 1)
        parts.append(f"## `{name}`")
        parts.append(" ".join((inspect.getdoc(kind.payload) or "").split()))
        if kind.apply is not None:
            parts.append(f"`apply`: {first_sentence(kind.apply) or 'a row of its projection.'}")
        hints = get_type_hints(kind.payload)
        fields = (
            f"`{field.name}` {_type(hints[field.name])}{_omitted(kind, field)}"
            for field in msgspec.structs.fields(kind.payload)
        )
        parts.append(f"Fields: {', '.join(fields)}.")
    return "\n\n".join(parts) + "\n"


def _omitted(kind: Kind, field: Any) -> str:
    """Which value a field has that is not in the payload."""
    if field.default is msgspec.UNSET:
        return " (may be left out)"
    if field.required or not kind.payload.__struct_config__.omit_defaults:
        return ""
    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return f" (left out: {json.dumps(default)})"


def _type(hint: Any) -> str:
    text = hint.__name__ if inspect.isclass(hint) and not hasattr(hint, "__args__") else str(hint)
    text = (
        text.replace("typing.", "").replace("msgspec.", "").replace(" | UnsetType", "").replace(" | None", " or null")
    )
    return {"Raw": "any JSON", "Any": "any JSON", "dict[str, Any]": "object", "list[str]": "list of str"}.get(
        text, text.replace("dict[str, Raw]", "object")
    )


def limit_pages() -> str:
    """Constants of the model, and what other rooms add."""
    head = ("Limit", "Value", "Meaning")
    events = chain(_constants(buffer), _constants(patterns))
    return (
        f"{LIMITS}{table(head, _constants(limits))}\n## Content\n\n{table(head, _constants(blob))}"
        f"\n## Events\n\n{table(head, events)}\n## Hooks\n\n{table(head, _fields(HookLimits))}"
    )


def _constants(module: Any) -> Iterator[tuple[str, str, str]]:
    """Public upper-case numbers of a module, with the text below each."""
    body = ast.parse(Path(module.__file__).read_text("utf-8")).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        name = node.targets[0].id
        if name.isupper() and not name.startswith("_") and isinstance(getattr(module, name), int | float):
            yield code(name), f"{getattr(module, name):,}", _note(following)


def _fields(struct: type) -> Iterator[tuple[str, str, str]]:
    found = next(node for node in ast.walk(ast.parse(inspect.getsource(struct))) if isinstance(node, ast.ClassDef)).body
    for node, following in zip(found, [*found[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield code(node.target.id), f"{getattr(struct(), node.target.id):,}", _note(following)


def _note(node: ast.stmt | None) -> str:
    text = node.value.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else ""
    return " ".join(str(text).split())


PAGES: dict[str, Callable[[], str]] = {
    "names.md": names,
    "errors.md": error_pages,
    "kinds.md": kinds,
    "limits.md": limit_pages,
}
PARTS: dict[str, Callable[[], str]] = {"hook_results": lambda: "\n" + markdown() + "\n"}


if __name__ == "__main__":
    sys.exit(main())
