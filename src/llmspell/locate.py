"""Which store is meant when none is named: ``LLMSPELL_STORE``, else the nearest ``.llmspell`` folder upwards, else
``./.llmspell``.
"""

from __future__ import annotations

import os
from pathlib import Path

from llmspell.errors import InvalidInput
from llmspell.model.arguments import at_home

VARIABLE = "LLMSPELL_STORE"
FOLDER = ".llmspell"
MEMORY = ":memory:"


def locate(path: str | os.PathLike[str] | None) -> tuple[str | Path, str]:
    """The store's place and where that was said: ``argument``, ``environment``, ``nearest`` or ``default``.

    Raises InvalidInput (``invalid-path``, ``unknown-engine``).
    """
    place, said = _found(path)
    try:
        str(Path(place).absolute()).encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"the path of a store is UTF-8 text, not {str(place)!r}", code="invalid-path") from None
    return place, said


def _found(path: str | os.PathLike[str] | None) -> tuple[str | Path, str]:
    if path is not None:
        return _checked(path), "argument"
    named = os.environ.get(VARIABLE)
    if named:
        return _checked(named), "environment"
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FOLDER / "CURRENT").is_file():
            return folder / FOLDER, "nearest"
    return here / FOLDER, "default"


def _checked(path: str | os.PathLike[str]) -> str | Path:
    try:
        text = os.fspath(path)
    except TypeError:
        text = ""
    if type(text) is not str or not text or "\0" in text:
        raise InvalidInput(f"a store is named by a path, not {path!r}", code="invalid-path")
    if text == MEMORY:
        return text
    if "://" in text:
        raise InvalidInput(
            f"no engine for {text.partition('://')[0]}:// in this version; name a folder", code="unknown-engine"
        )
    return at_home(text)
