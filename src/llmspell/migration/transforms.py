"""The transforms by name, and from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from llmspell.migration.changing import Convert, Custom, Default, Remove
from llmspell.migration.moving import Copy, Merge, Move, Rename, Split
from llmspell.migration.transform import Transform, refuse_transform

OPS: Mapping[str, type[Transform]] = {
    kind.op: kind for kind in (Rename, Copy, Convert, Default, Remove, Split, Merge, Move, Custom)
}
"""The transforms by name."""


def transform_of(given: Any) -> Transform:
    """A transform from the JSON object that ``to_dict`` gives. Raises InvalidInput (``invalid-transform``,
    ``invalid-path``).
    """
    if isinstance(given, Transform):
        if type(given) is not OPS.get(given.op):  # A class of the caller's own: nobody could read it back.
            raise refuse_transform(f"{type(given).__name__} is no transform; there are {', '.join(OPS)}")
        given = given.to_dict()  # What is stored of it is what can be read back.
    if not isinstance(given, Mapping):
        raise refuse_transform(f"a transform is an object with its op, not {type(given).__name__}")
    op = given.get("op")
    kind = OPS.get(op) if type(op) is str else None
    if kind is None:
        raise refuse_transform(f"there is no transform {str(given.get('op'))[:40]!r}; there are {', '.join(OPS)}")
    known = {one.name: one for one in fields(kind) if one.init}
    strange = sorted(str(name)[:40] for name in given if name != "op" and name not in known)
    missing = [name for name, one in known.items() if one.default is MISSING and name not in given]
    if strange or missing:
        problem = f"has no {', '.join(strange)}" if strange else f"needs {', '.join(missing)}"
        raise refuse_transform(f"{kind.op} {problem}; it has {', '.join(known)}")
    arguments = {name: value for name, value in given.items() if name != "op"}
    for name, value in arguments.items():
        if type(known[name].default) is bool and type(value) is not bool:
            raise refuse_transform(f"{kind.op}: {name} is true or false")
    return kind(**arguments)
