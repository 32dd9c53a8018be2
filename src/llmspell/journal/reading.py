"""Reading entries back. Each row's payload digest and hash are computed again; what does not match is never served."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import error as StructError  # noqa: N812 - its module has no better name for it
from typing import Any

from blake3 import blake3

from llmspell.errors import Corrupt, InvalidInput
from llmspell.journal.codec import TEXT, load_payload
from llmspell.journal.terms import TERMS
from llmspell.model import limits
from llmspell.model.entry import NO_ID, Entry, numbers
from llmspell.ports.database import Reading, Row

COLUMNS = (
    "seq, id, at, clock, kind, kind_version, subject, session, correlation, cause, actor, codec, salt,"
    " iif(codec = 0 AND typeof(payload) = 'blob', 0, CAST(payload AS BLOB)), digest, prev, hash"
)
"""The payload as bytes: they are what the digest is over, and making a str of them first costs half a microsecond. What
should be text and is not gives a number, which no check lets pass.
"""
_MISTYPED = (TypeError, ValueError, OverflowError, AttributeError, StructError)


def check_row(row: Row) -> Entry:
    """The entry of a row selected as ``COLUMNS``. Raises Corrupt naming the seq when its hash does not match."""
    return check_rows((row,))[0]


def check_rows(rows: Iterable[Row]) -> list[Entry]:
    """The entries of rows selected as ``COLUMNS``, in their order. The hash is ``entry_hash``'s, written out: this loop
    is what loading a long session waits for.

    Raises Corrupt naming the seq of the first that does not match its hash.
    """
    entries = []
    known_words: dict[tuple[str, str], bytes] = {}
    seq = 0
    try:
        for (
            seq, id_, at, clock, kind, kind_version, subject, session, correlation, cause, actor, codec, salt, payload,
            digest, prev, hash_,
        ) in rows:  # fmt: skip
            if payload is None:
                loaded = None
                _demand_erased(salt, correlation, digest)
            elif digest is not None:
                raise Corrupt("it has a payload, and the digest that only an erased one leaves")
            else:
                loaded = payload if codec == TEXT else load_payload(codec, payload)
                digest = blake3(salt + loaded).digest()  # noqa: PLW2901 - kept in the row only when the payload is gone
            header = numbers(seq, at, clock, kind_version, cause)
            words = known_words.get((kind, actor))
            if words is None:
                words = known_words[kind, actor] = f"{kind}\0{actor}".encode()
            parts = (prev, header, id_, subject, session or NO_ID, correlation, digest, words)
            if blake3(b"".join(parts)).digest() != hash_:
                raise _corrupt(seq, "its bytes do not match its hash")
            # The hash is over the fields in a row: only with their lengths does it fix where each of them ends.
            if (
                len(id_) != 16
                or len(subject) != 16
                or (session is not None and (len(session) != 16 or session == NO_ID))
            ):
                raise _corrupt(seq, "an id in it has the wrong length")
            entries.append(
                Entry(
                    seq, id_, at, clock, kind, kind_version, subject, session, correlation, cause, actor, loaded, hash_
                )
            )
    except _MISTYPED as exc:
        raise _corrupt(seq, f"a field has the wrong type: {exc}") from exc
    except Corrupt as exc:
        raise exc if "seq" in exc.details else _corrupt(seq, exc.message) from exc
    return entries


def _demand_erased(salt: object, correlation: bytes, digest: bytes) -> None:
    if salt is not None:
        raise Corrupt("its payload is gone, but not the salt that is erased with it")
    if len(correlation) != 16 or len(digest) != 32:
        raise Corrupt("an id or a digest in it has the wrong length")


def _corrupt(seq: int, why: str) -> Corrupt:
    return Corrupt(
        f"entry {seq} is damaged: {why}",
        hint="run `llmspell verify` for the extent, and restore from a backup",
        seq=seq,
    )


def entry_at(view: Reading, seq: int) -> Entry | None:
    """The entry with this seq, checked; None when there is none yet."""
    row = view.one(f"SELECT {COLUMNS} FROM entry WHERE seq = ?", (seq,))
    return None if row is None else check_row(row)


@dataclass(frozen=True, slots=True)
class EntryQuery:
    """Which entries to read. All given conditions hold together; times are nanoseconds, inclusive.

    ``kinds`` are exact names; ``subject`` a digest; ``after`` and ``before`` seqs, exclusive. ``newest_first`` turns
    the order around.
    """

    subject: bytes | None = None
    session: bytes | None = None
    correlation: bytes | None = None
    cause: int | None = None
    kinds: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    after: int = 0
    before: int | None = None
    newest_first: bool = False


def read_page(view: Reading, query: EntryQuery, limit: int) -> list[Entry]:
    """Up to ``limit`` checked entries by seq. The next page is ``after`` (or ``before``) the last one's seq."""
    if not 1 <= limit <= limits.PAGE_ROWS_MAX:
        raise InvalidInput(f"a page has 1 to {limits.PAGE_ROWS_MAX} rows, not {limit}", code="invalid-limit")
    return check_rows(view.all(*_select(view, query, limit)))


def explain(view: Reading, query: EntryQuery, limit: int = 50) -> list[str]:
    """The query plan, a line a step: tests assert that no query scans the whole journal."""
    sql, args = _select(view, query, limit)
    return [row[3] for row in view.all(f"EXPLAIN QUERY PLAN {sql}", args)]


def _select(view: Reading, query: EntryQuery, limit: int) -> tuple[str, Sequence[Any]]:
    where: list[str] = []
    args: list[Any] = []
    low, high = _bounds(view, query)
    source = _by_terms(view, query, low, high, limit, args) if _needs_terms(query) else None
    if source is not None:
        where.append(f"seq IN ({source})")
    else:
        where.append("seq > ? AND seq < ?")
        args += [low, high]
    for column, wanted in (("subject", query.subject), ("session", query.session)):
        if wanted is not None:
            where.append(f"{column} = ?")
            args.append(wanted)
    if query.correlation is not None:
        where.append("+correlation = ?")
        args.append(query.correlation)
    if query.cause is not None:
        where.append("+cause = ?")
        args.append(query.cause)
    if query.kinds:
        where.append(f"+kind IN ({','.join('?' * len(query.kinds))})")
        args += query.kinds
    order = "DESC" if query.newest_first else "ASC"
    return f"SELECT {COLUMNS} FROM entry WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT {limit}", args


def _needs_terms(query: EntryQuery) -> bool:
    selective = query.correlation is not None or query.cause is not None or bool(query.kinds)
    return selective and query.subject is None and query.session is None


def _by_terms(view: Reading, query: EntryQuery, low: int, high: int, limit: int, args: list[Any]) -> str:
    """Seqs from the lagging index up to its watermark, and from the journal's tail above it."""
    if query.correlation is not None:
        terms: list[str] = [TERMS.correlation(query.correlation)]
    elif query.cause is not None:
        terms = [TERMS.cause(query.cause)]
    else:
        terms = [TERMS.kind(kind) for kind in query.kinds]
    watermark = watermark_of(view)
    order = "DESC" if query.newest_first else "ASC"
    parts = []
    # One condition indexed, the others filtered above: a limit inside is only right when nothing else filters.
    alone = sum((query.correlation is not None, query.cause is not None, bool(query.kinds))) == 1
    cut = f" ORDER BY seq {order} LIMIT {limit}" if alone else ""
    for term in terms:
        parts.append(f"SELECT seq FROM (SELECT seq FROM term WHERE term = ? AND seq > ? AND seq < ?{cut})")
        args += [term, low, min(high, watermark + 1)]
    parts.append("SELECT seq FROM entry WHERE seq > ? AND seq < ?")
    args += [max(low, watermark), high]
    return " UNION ALL ".join(parts)


def watermark_of(view: Reading) -> int:
    """The seq up to which the lagging indexes are complete."""
    row = view.one("SELECT seq FROM watermark WHERE name = 'terms'")
    return row[0] if row else 0


def _bounds(view: Reading, query: EntryQuery) -> tuple[int, int]:
    low, high = query.after, query.before
    if high is None:
        high = (1 << 63) - 1
    if query.since is not None:
        low = max(low, seq_at(view, query.since - 1))
    if query.until is not None:
        high = min(high, seq_at(view, query.until) + 1)
    return low, high


def seq_at(view: Reading, at: int) -> int:
    """The last seq whose time is not after ``at``; 0 when the journal begins later. A binary search, 20 probes a
    million.
    """
    row = view.one("SELECT seq FROM entry ORDER BY seq DESC LIMIT 1")
    low, high = 0, row[0] if row else 0
    while low < high:
        middle = (low + high + 1) // 2
        found = view.one("SELECT at FROM entry WHERE seq = ?", (middle,))
        if found is not None and found[0] <= at:
            low = middle
        else:
            high = middle - 1
    return low


def kinds_of(names: Iterable[str]) -> tuple[str, ...]:
    """Kind names without repetition, in order."""
    return tuple(dict.fromkeys(names))
