"""The folder of a store, and how it comes into being.

    FOLDER/
      CURRENT                   name of the generation in use, one line
      turnstile.lock            where writers of several processes queue
      turnstile.queue.lock      held by one that waits, so that long runs of writes give way; made when first needed
      generation-000001/        one history: a restore in place starts the next
        main.db                 journal and projections
        content.db              chunks of large artifacts
        sealed                  only in an encrypted store: the id of the store, by which its key is found

A store exists once ``CURRENT`` does. Everything it names is made and synced before it, so a crash on the way leaves a
folder that the next creation starts over.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from llmspell.errors import InvalidInput, StorageFailed, StoreMissing

CURRENT = "CURRENT"
LOCK = "turnstile.lock"
QUEUE = "turnstile.queue.lock"
_FIRST = "generation-000001"
_SEALED = "sealed"
_SEALED_LINE = re.compile(r"llmspell encrypted store 1 ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\n", re.ASCII)


class StoreFolder:
    """Paths of one store. Reading them touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def lock(self) -> Path:
        """The lock file that writers queue at."""
        return self.path / LOCK

    @property
    def exists(self) -> bool:
        """True when there is a store here."""
        return (self.path / CURRENT).is_file()

    def generation(self) -> Path:
        """The folder of the generation in use. Raises StoreMissing."""
        try:
            name = (self.path / CURRENT).read_text("utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            raise StoreMissing(
                f"there is no store at {self.path}", hint="name another with --store, or create it by writing to it"
            ) from None
        if not name.startswith("generation-") or not name.removeprefix("generation-").isdigit():
            raise InvalidInput(f"{self.path / CURRENT} is not ours: it says {name[:80]!r}", code="foreign-store")
        return self.path / name

    def check_free(self) -> None:
        """Refuse a place that holds something else. Raises InvalidInput (``foreign-store``)."""
        if self.path.exists() and not self.path.is_dir():
            raise InvalidInput(f"{self.path} is a file, not a store folder", code="foreign-store")
        if self.path.is_dir() and not self.exists:
            strangers = sorted({item.name for item in self.path.iterdir()} - {LOCK, QUEUE, _FIRST, CURRENT + ".new"})
            if strangers and not self.exists:  # Another process may have finished its creation meanwhile.
                raise InvalidInput(
                    f"{self.path} is not empty and holds no store: it has {', '.join(strangers[:3])}",
                    code="foreign-store",
                    hint="choose an empty folder or a new path",
                )

    def first_generation(self) -> Path:
        """An empty folder for the first generation; what an interrupted creation left is cleared first."""
        folder = self.path / _FIRST
        folder.mkdir(exist_ok=True)
        for left in folder.iterdir():
            left.unlink()
        return folder

    def missing(self) -> list[Path]:
        """The folders that have to be made for the store, the innermost first."""
        return [folder for folder in (self.path, *self.path.parents) if not folder.exists()]

    def unmake(self, made: list[Path]) -> None:
        """Take away what a creation left that came to nothing, with the folders that it made, as far as that goes. The
        turn is held.
        """
        with suppress(OSError):
            self.first_generation().rmdir()
            (self.path / (CURRENT + ".new")).unlink(missing_ok=True)
            if made:
                (self.path / QUEUE).unlink(missing_ok=True)
                self.lock.unlink()
            for folder in made:
                folder.rmdir()

    def sealed_as(self, generation: Path) -> str | None:
        """The id of the store if it is encrypted, else None. It has to be known before anything can be read."""
        try:
            line = (generation / _SEALED).read_text("ascii")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as exc:
            raise StorageFailed(f"cannot read {generation / _SEALED}: {exc}", code="store-damaged") from exc
        found = _SEALED_LINE.fullmatch(line)
        if found is None:
            raise StorageFailed(
                f"{generation / _SEALED} says {line[:80]!r}, which names no encrypted store of this format",
                code="store-damaged",
            )
        return found[1]

    def note_sealed(self, generation: Path, store_id: str) -> None:
        """Say in the folder that the store is encrypted."""
        with (generation / _SEALED).open("w", encoding="ascii") as file:
            file.write(f"llmspell encrypted store 1 {store_id}\n")
            file.flush()
            os.fsync(file.fileno())

    def publish(self, generation: Path) -> None:
        """Name ``generation`` as the one in use, durably and at once."""
        sync_folder(generation)
        fresh = self.path / (CURRENT + ".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.write(generation.name + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path / CURRENT)
        sync_folder(self.path)
        sync_folder(self.path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
