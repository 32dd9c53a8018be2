"""Bringing an older store's tables to this version's format, when it is opened for writing.

The adapter runs the steps; what is done here are the parts that need the journal: projections made anew from it, and
the entry that tells of the migration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmspell.journal.journal import Writer
from llmspell.journal.kinds import STORE_MIGRATED, StoreMigrated
from llmspell.journal.reapplying import apply_all_again
from llmspell.model.context import MAINTENANCE
from llmspell.schema.migrations import newest
from llmspell.verify import PROJECTIONS

if TYPE_CHECKING:
    from llmspell.adapters.sqlite.store import OpenStore
    from llmspell.journal.journal import Journal
    from llmspell.ports.database import Transaction


def bring_up_to_date(files: OpenStore, journal: Journal) -> None:
    """Migrate the files of a store, and append ``store.migrated``. Files of the newest format stay as they are.

    One transaction, so that a kill at any point leaves the format there was, or the newest. A rebuild reads and checks
    the whole journal, in bounded memory. Raises Corrupt for a damaged journal that projections were to be made from,
    Busy, StorageFailed; then the main file is what it was.
    """
    origin = journal.origin(MAINTENANCE)
    to = newest(files.migrations)

    async def finish(tx: Transaction, came_from: int, rebuild: bool) -> None:
        if rebuild:
            await apply_all_again(journal.kinds, tx, tuple(PROJECTIONS))
        writer = Writer(journal, tx, origin)
        if writer.head_seq:  # Else its creation was cut short, and the first entry, still to come, says the format.
            await writer.append(STORE_MIGRATED, StoreMigrated(came_from, to), await writer.scope("global"), "store")

    files.migrate(finish)
