"""What forks have of a session that only its key opens: sealed values that they were set back to.

Such a value stands in an entry of the fork's own, and is lost with the key. Left there it would stop every read of the
whole fork; so the key of the fork is deleted, in forks of it too, and the entries are erased.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from llmspell.journal.asking import Asking, driven
from llmspell.journal.codec import load_payload
from llmspell.journal.lineage import find_scope
from llmspell.model.entry import subject_digest
from llmspell.model.ids import id_text
from llmspell.schema import queries
from llmspell.state.inherited import all_rows, inherited_row
from llmspell.state.kinds import StateDeleted
from llmspell.state.projection import DELETED

if TYPE_CHECKING:
    from llmspell.adapters.sqlite.batch import View
    from llmspell.journal.journal import Writer

_ROW = queries("llmspell.state")["row"]
_FORKS = "SELECT session, until_seq IS NULL FROM fork_level WHERE ancestor = ? ORDER BY session"
_KEYS = "SELECT key FROM state WHERE scope = ? ORDER BY key"
_SETS = (
    "SELECT seq, codec, payload FROM entry WHERE subject = ? AND kind = 'state.set' AND payload IS NOT NULL"
    " ORDER BY seq"
)


class _Sealed(msgspec.Struct):
    sealed_for: str | None = None


_sealed = msgspec.json.Decoder(_Sealed).decode


class InForks(NamedTuple):
    """Entries to erase, and (scope, key) of what would show them."""

    seqs: list[int]
    keys: list[tuple[str, str]]


def sealed_in_forks(view: View, session: bytes, scope: str) -> InForks:
    """What forks of a session have that is sealed for it. Looks at every change of every key that a fork itself has."""
    asks = Asking(view)
    forks = [(_scope(fork), there) for fork, there in view.all(_FORKS, (session,))]
    known = [(name, found, there) for name, there in forks if (found := driven(find_scope(asks, name))) is not None]
    seqs: set[int] = set()
    for _, fork, _ in known:
        for (key,) in view.rows(_KEYS, (fork.id,)):
            for seq, codec, payload in view.all(_SETS, (subject_digest(fork.salt, f"state/{key}"),)):
                if _sealed(load_payload(codec, payload)).sealed_for == scope:
                    seqs.add(seq)
    keys: list[tuple[str, str]] = []
    for name, fork, there in known if seqs else ():
        if there and fork.lineage is not None:
            keys += [(name, key) for key, row in driven(all_rows(asks, fork.lineage)) if row[1] in seqs and not row[4]]
    return InForks(sorted(seqs), keys)


def _scope(session: bytes) -> str:
    return f"session:{id_text(session)}"


async def drop_in_forks(writer: Writer, keys: list[tuple[str, str]], seqs: frozenset[int]) -> int:
    """Delete those keys that still are as these entries say; returns how many."""
    dropped = 0
    for name, key in keys:
        scope = await writer.scope(name)
        row = await writer.one(_ROW, (scope[0], key))
        if row is None and (lineage := writer.lineage(name)) is not None:
            row = await inherited_row(writer, lineage, key)
        if row is not None and row[1] in seqs and not row[4]:
            await writer.append(DELETED, StateDeleted(name, key, row[0] + 1, row[1]), scope, f"state/{key}")
            dropped += 1
    return dropped
