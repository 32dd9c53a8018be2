"""Opening a store on asyncio; the synchronous face opens in ``llmspell.sync``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from llmspell.adapters.sqlite.connection import Durability
from llmspell.adapters.sqlite.looped import LoopedDatabase
from llmspell.adapters.sqlite.store import is_new, open_store
from llmspell.hooks.async_caller import AsyncCaller
from llmspell.locate import locate
from llmspell.model.arguments import check_flags
from llmspell.model.clock import Clock, SystemClock
from llmspell.model.ids import Ids, SystemIds
from llmspell.offload import Threads
from llmspell.protecting import LazyVault, check_protection, check_redactor, protection_of
from llmspell.store import AsyncStore

if TYPE_CHECKING:
    from llmspell.security.redaction import Redactor
    from llmspell.security.sealer import KeySource
    from llmspell.state.classes import SecretsPolicy


async def open_async(
    path: str | os.PathLike[str] | None = None,
    *,
    create: bool = True,
    read_only: bool = False,
    durability: Durability | None = None,
    key: KeySource | None = None,
    encrypt: bool = False,
    secrets: SecretsPolicy = "off",
    redactor: Redactor | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
) -> AsyncStore:
    """Open the store in a folder, making it when it is missing (unless ``create`` is False), for the running event
    loop.

    ``path`` None means ``LLMSPELL_STORE``, else the nearest ``.llmspell`` upwards, else ``./.llmspell``; ``":memory:"``
    is a store that ends with its handle. ``durability`` is ``full`` (the default: acknowledged means on disk),
    ``process`` (survives a kill; a power cut may lose the last moments) or ``none`` (only for a store created so).
    ``key`` is what opens sensitive values: 32 bytes, the path of a file, or a command as a list of words; a FIFO as the
    file is waited for until somebody writes the key into it. Without it, ``LLMSPELL_KEY``, ``LLMSPELL_KEY_FILE`` or
    ``LLMSPELL_KEY_COMMAND``; a key that is given so is tried on the store's keyring, if there is one. Without all, it
    is made in the user's key folder when it is first needed. ``encrypt`` makes a new store whose files are sealed
    whole by that key; afterwards the key alone opens it. ``secrets`` says what becomes of secrets in standard values:
    ``off``, ``warn``, ``refuse`` or ``protect``; ``redactor`` looks for them. ``clock`` and ``ids`` replace the
    system's, for tests and replays. What fails leaves no folder behind. Raises StoreMissing, InvalidInput
    (``foreign-store``, ``scratch-store``, ``not-encrypted`` …), NeedsMigration (``newer-format``), WrongKey, Busy,
    StorageFailed.
    """
    check_flags(create=create, read_only=read_only, encrypt=encrypt)
    check_redactor(redactor)
    place, _ = locate(path)
    source = ids or SystemIds()
    vault = LazyVault(key)
    if create and not read_only and is_new(place):
        check_protection(key, secrets, encrypt=encrypt)
    files = open_store(
        place, source, create=create, read_only=read_only, durability=durability, encrypt=encrypt, vault=vault
    )
    try:
        protection = protection_of(files, key, secrets, redactor, vault)
    except BaseException:
        files.close()
        raise
    store = AsyncStore(
        files, LoopedDatabase(files.engine), clock or SystemClock(), source, AsyncCaller(), Threads(), protection
    )
    await store.start()
    return store
