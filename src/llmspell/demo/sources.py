"""Real text that every machine with Python has: its documentation topics and the sources of its library."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from llmspell.errors import InvalidInput, NotFound

BYTES_MIN = 1_000_000
_MODULES = (
    "argparse.py", "ast.py", "configparser.py", "dataclasses.py", "datetime.py", "decimal.py", "_pydecimal.py",
    "difflib.py",
    "doctest.py", "enum.py", "inspect.py", "ipaddress.py", "logging/__init__.py", "mailbox.py", "optparse.py",
    "pathlib.py",
    "pdb.py", "pickle.py", "pickletools.py", "pydoc.py", "shutil.py", "socket.py", "statistics.py", "subprocess.py",
    "tarfile.py", "threading.py", "turtle.py", "typing.py", "zipfile.py", "asyncio/base_events.py",
)  # fmt: skip


def bundled() -> list[Path]:
    """At least 1 MB of text files: ``pydoc_data`` topics first, then library sources in a fixed order."""
    library = Path(sysconfig.get_paths()["stdlib"])
    found, size = [], 0
    for name in ("pydoc_data/topics.py", *_MODULES):
        path = library / name
        if path.is_file():
            found.append(path)
            size += path.stat().st_size
    if size < BYTES_MIN:
        raise NotFound(
            f"this Python has only {size:,} bytes of the library's text", code="no-sources", hint="llmspell demo FILE …"
        )
    return found


def given(paths: list[str]) -> list[Path]:
    """The files a user named. Raises NotFound, InvalidInput (``not-text``)."""
    found = [Path(path) for path in paths]
    for path in found:
        if not path.is_file():
            raise NotFound(f"there is no file {path}", code="file-not-found")
        try:
            path.read_text("utf-8")
        except UnicodeDecodeError:
            raise InvalidInput(f"{path} is not UTF-8 text", code="not-text") from None
    if len({path.name for path in found}) < len(found):
        raise InvalidInput("two of the files have the same name", code="duplicate-name")
    return found
