"""Opening a store for threads."""

from __future__ import annotations

import os

from llmspell.adapters.sqlite.blocking import BlockingDatabase
from llmspell.adapters.sqlite.connection import Durability
from llmspell.adapters.sqlite.store import open_store
from llmspell.hooks.callers import BlockingCaller
from llmspell.locate import locate
from llmspell.model.clock import Clock, SystemClock
from llmspell.model.ids import Ids, SystemIds
from llmspell.offload import Inline
from llmspell.store import AsyncStore
from llmspell.sync.drive import drive
from llmspell.sync.faces import Store


def open(
    path: str | os.PathLike[str] | None = None,
    *,
    create: bool = True,
    read_only: bool = False,
    durability: Durability | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
) -> Store:
    """Open the store in a folder, making it when it is missing (unless ``create`` is False). Threads may share it.

    ``path`` None means ``LLMSPELL_STORE``, else the nearest ``.llmspell`` upwards, else ``./.llmspell``; ``":memory:"``
    is a store that ends with its handle. ``durability`` is ``full`` (the default: acknowledged means on disk),
    ``process`` (survives a kill; a power cut may lose the last moments) or ``none`` (only for a store created so).
    ``clock`` and ``ids`` replace the system's, for tests and replays. Raises StoreMissing, InvalidInput
    (``foreign-store``, ``scratch-store`` …), NeedsMigration (``newer-format``), Busy, StorageFailed.
    """
    place, _ = locate(path)
    source = ids or SystemIds()
    files = open_store(place, source, create=create, read_only=read_only, durability=durability)
    store = AsyncStore(
        files, BlockingDatabase(files.engine), clock or SystemClock(), source, BlockingCaller(), Inline()
    )
    drive(store.start())
    return Store(store)
