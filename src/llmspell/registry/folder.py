"""Schemas out of the files of a folder."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from llmspell.errors import InvalidInput, LlmspellError, NotFound, StorageFailed
from llmspell.model.arguments import check_path
from llmspell.model.values import decode_value
from llmspell.schemas.schema import SCHEMA_BYTES_MAX, Schema

FILES_MAX = 1000
_FILE_BYTES_MAX = 4 * SCHEMA_BYTES_MAX


def read_folder(path: str | Path) -> list[tuple[Path, Schema]]:
    """The schemas of its ``*.json`` and ``*.toml`` files with these, in the order of their names."""
    folder = check_path(path)
    if not folder.is_dir():
        raise NotFound(f"there is no folder {str(folder)!r}", code="folder-not-found")
    files = sorted(one for one in folder.iterdir() if one.suffix in (".json", ".toml") and one.is_file())
    if len(files) > FILES_MAX:
        raise InvalidInput(f"{str(folder)!r} holds {len(files):,} files; at most {FILES_MAX:,}", code="invalid-schema")
    return [(file, schema) for file in files for schema in read_file(file)]


def naming(found: list[tuple[Path, Schema]], error: LlmspellError) -> LlmspellError:
    """A refusal that says which schema it is about, with the file that schema is in; others as they are."""
    about = error.details.get("name"), error.details.get("version")
    # Two files may hold one version, the second with other content: the later one is what was refused.
    files = [file for file, schema in found if (schema.name, str(schema.version)) == about]
    return _in_file(files[-1], error) if files else error


def _in_file(file: Path, error: LlmspellError) -> LlmspellError:
    return type(error)(f"{str(file)!r}: {error.message}", code=error.code, hint=error.hint, **error.details)


def read_file(file: Path) -> list[Schema]:
    """The schemas of one file. Raises InvalidInput (``invalid-schema``) that names it, NotFound, StorageFailed."""
    try:
        with check_path(file).open("rb") as stream:
            raw = stream.read(_FILE_BYTES_MAX + 1)
    except (FileNotFoundError, IsADirectoryError):
        raise NotFound(f"there is no file {str(file)!r}", code="file-not-found") from None
    except OSError as exc:
        raise StorageFailed(f"{str(file)!r} cannot be read: {exc.strerror}") from exc
    if len(raw) > _FILE_BYTES_MAX:
        raise InvalidInput(f"{str(file)!r} is larger than {_FILE_BYTES_MAX:,} bytes", code="invalid-schema")
    try:
        text = raw.decode()
        given: Any = tomllib.loads(text) if file.suffix == ".toml" else decode_value(text)
    except (ValueError, RecursionError) as exc:
        kind = file.suffix.removeprefix(".").upper()
        raise InvalidInput(f"{str(file)!r} is no {kind}: {exc}", code="invalid-schema") from None
    if isinstance(given, dict) and set(given) == {"schemas"}:
        given = given["schemas"]
    try:
        return [Schema.from_dict(one) for one in (given if isinstance(given, list) else [given])]
    except LlmspellError as exc:
        raise _in_file(file, exc) from None
