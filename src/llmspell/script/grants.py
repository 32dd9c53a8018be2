"""Grants: what beyond the store a run may touch. Nothing, unless whoever starts it says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmspell.errors import AccessDenied, NotFound


@dataclass(frozen=True, slots=True)
class Grants:
    """``files`` are folders and files that scripts may read."""

    files: tuple[Path, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types, for the run's record."""
        return {"files": [str(path) for path in self.files]}

    @staticmethod
    def from_dict(given: dict[str, Any]) -> Grants:
        """The inverse of ``to_dict``."""
        return Grants(tuple(Path(path) for path in given.get("files", ())))

    def file(self, path: str, function: str) -> Path:
        """A file that may be read; links are followed before it is judged. Raises AccessDenied (``not-granted``)."""
        if not self.files:
            raise AccessDenied(
                f"{function} reads files, which this run was not granted",
                code="not-granted",
                hint="grant the folder when the run is started",
            )
        found = Path(path).resolve()
        if not any(found.is_relative_to(root.resolve()) for root in self.files):
            raise AccessDenied(f"{function}: {path!r} is outside of what this run was granted", code="not-granted")
        if not found.is_file():
            raise NotFound(f"{function}: there is no file {path!r}", code="file-not-found")
        return found
