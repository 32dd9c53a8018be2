"""The bytes of the format, pinned: a change of header, hash or the payload's place would break every store there is."""

import struct

from blake3 import blake3

from llmspell.events.kinds import PUBLISHED, EventPublished
from llmspell.journal.reading import EntryQuery, read_page
from llmspell.model.context import Context, Correlation
from llmspell.model.entry import GENESIS, entry_hash, payload_digest, subject_digest

ID, SUBJECT, SESSION, CORRELATION = bytes(range(16)), b"u" * 16, b"s" * 16, b"c" * 16


def by_hand(previous, seq, id_, at, clock, kind, version, subject, session, correlation, cause, actor, digest):
    """The hash as the format page says it, written a second time."""
    header = (
        struct.pack(">QqqHQ", seq, at, clock, version, cause)
        + id_
        + subject
        + (session or bytes(16))
        + correlation
        + digest
        + kind.encode()
        + b"\0"
        + actor.encode()
    )
    return blake3(previous + header).digest()


HEADER = (GENESIS, 1, ID, 1_700_000_000_000_000_001, -5, "state.set", 1, SUBJECT, SESSION, CORRELATION, 7, "owner")


def test_the_hash_of_a_header_never_changes():
    digest = payload_digest(b"p" * 16, b'{"a":1}')
    assert digest.hex() == "360519b0f89b75d19ce6181574ba141a206f480e9e25a3f4c3083cf967f8a844"
    assert entry_hash(*HEADER, digest).hex() == "442caac9145cca1cab88b3cd388c6831e61c7fed4bc7960e1a1b357896271b23"
    assert entry_hash(*HEADER, digest) == by_hand(*HEADER, digest)


def test_every_field_of_the_header_is_in_the_hash():
    digest = payload_digest(b"p" * 16, b"{}")
    plain = entry_hash(*HEADER, digest)
    others = (b"\1" * 32, 2, b"i" * 16, 5, 5, "state.sex", 2, b"v" * 16, b"t" * 16, b"d" * 16, 8, "owned")
    headers = [[*HEADER[:at], other, *HEADER[at + 1 :]] for at, other in enumerate(others)]
    hashes = {entry_hash(*header, digest=digest) for header in headers}
    hashes.add(entry_hash(*HEADER, payload_digest(b"q" * 16, b"{}")))
    hashes.add(entry_hash(*HEADER, payload_digest(b"p" * 16, b"{ }")))
    assert len(hashes) == len(others) + 2
    assert plain not in hashes


def test_no_two_headers_share_a_hash_by_moving_text_between_fields():
    digest = bytes(32)
    split = [entry_hash(*HEADER[:5], kind, *HEADER[6:11], actor, digest) for kind, actor in (("ab", "c"), ("a", "bc"))]
    assert split[0] != split[1]


def test_the_subject_of_a_thing_never_changes():
    assert subject_digest(b"s" * 16, "state/k\u00e4se").hex() == "f782c19ff02a9bd1eb4145a2c39b4163"
    assert subject_digest(b"s" * 16, "state/k\u00e4se") == blake3(b"s" * 16 + "state/k\u00e4se".encode()).digest(16)


def test_entries_with_fixed_ids_and_clock_have_the_same_bytes_for_ever(bench):
    outer = Correlation(b"o" * 16, "outer")
    context = Context(session=SESSION, session_correlation=CORRELATION, correlation=outer, cause=3, actor="tester")
    bench.append(PUBLISHED, EventPublished("a.b", {"n": 1}), subject="event/a.b")
    bench.append(PUBLISHED, EventPublished("long.one", "text " * 400), subject="event/long.one", context=context)
    rows = list(
        bench.sql(
            "SELECT seq, id, at, clock, kind, kind_version, subject, session, correlation, cause, actor, codec, salt,"
            " payload, prev, hash FROM entry ORDER BY seq"
        )
    )
    assert [row[4] for row in rows] == ["event.published", "correlation.opened", "event.published"]
    assert [row[11] for row in rows] == [0, 0, 1], "short payloads are text, long ones zstd"
    assert rows[0][13] == '{"type":"a.b","data":{"n":1}}', "fields with their default are left out"
    assert [row[7] for row in rows] == [None, SESSION, SESSION]
    assert [row[8] for row in rows] == [rows[0][1], outer.id, outer.id]
    assert [row[15].hex() for row in rows] == GOLDEN_CHAIN
    assert [row[14] for row in rows] == [GENESIS, rows[0][15], rows[1][15]]
    for row, entry in zip(rows, bench.read(lambda view: read_page(view, EntryQuery(), 10)), strict=True):
        payload = entry.payload
        header = [row[14], *row[:11]]
        again = by_hand(*header, digest=payload_digest(row[12], payload))
        assert again == row[15] == entry.hash
        assert entry.to_dict()["hash"] == row[15].hex()


def test_an_erased_payload_leaves_a_chain_that_verifies_and_reads_as_none(bench):
    for n in range(3):
        bench.append(PUBLISHED, EventPublished("a.b", {"n": n}))
    erase(bench.sql, 2)
    found = bench.read(lambda view: read_page(view, EntryQuery(), 10))
    assert [entry.payload is None for entry in found] == [False, True, False]
    assert found[1].data is None
    assert found[1].to_dict()["data"] is None


def erase(sql, seq):
    """Drop a payload as an erasing entry does: with its salt, keeping the digest."""
    from llmspell.journal.codec import load_payload

    codec, salt, payload = next(sql("SELECT codec, salt, payload FROM entry WHERE seq = ?", (seq,)))
    digest = payload_digest(salt, load_payload(codec, payload))
    sql("UPDATE entry SET payload = NULL, salt = NULL, digest = ? WHERE seq = ?", (digest, seq))


GOLDEN_CHAIN = [
    "df1ca736b1c439110bd9308855b7deff3a2d0a3135a457fd3beb165fa0b2d073",
    "4ae78b058be05ce05d4e5adad2efa53f31ca27be3e2a907ed8c8213b4df4d989",
    "dfb02e0443747b391fb363fe3ce0807d2aea4f375770bc92791c062b0789490d",
]
