"""Files that are no sound bundles: each is refused by name, and the store is as it was."""

import io
import json

import msgspec
import pytest
import zstandard
from blake3 import blake3

import llmspell
from llmspell.errors import AlreadyExists, Conflict, Corrupt, InvalidInput, WrongKey
from llmspell.model.limits import VALUE_BYTES_MAX
from llmspell.portable import frames
from llmspell.portable.frames import CONTENT, END, ENTRIES, HEADER, PIECE, FrameReader, FrameWriter
from llmspell.portable.payloads import CARRIED
from tests.portable.conftest import filled, looks, refused
from tests.rooms.conftest import SyncFace

PASSPHRASE = "six random words would be better"
KEY = bytes(range(32))


@pytest.fixture
def face(tmp_path):
    made = SyncFace(tmp_path)
    yield made
    made.close()


@pytest.fixture
def small(store, tmp_path):
    """A small bundle: every byte of it can be tried."""
    session = store.sessions.create("s", state={"k": "v"})
    session.artifacts.put("a.txt", b"abc")
    session.artifacts.tag_version("a.txt", 1, "good")
    session.checkpoint("c")
    store.sessions.export(session.id, tmp_path / "small")
    return tmp_path / "small"


def read_all(path, key=None):
    with path.open("rb") as file:
        reader = FrameReader(file, key)
        found = [reader.read()]
        while found[-1][0] != END:
            found.append(reader.read())
    return found


def rewritten(path, parts, name="forged"):
    """A file of these frames, its checksum right: what somebody who knows the format can make."""
    file = io.BytesIO()
    writer = FrameWriter(file)
    for kind, text in parts[:-1]:
        writer.write(kind, text)
    writer.end(parts[-1][1])
    forged = path.parent / name
    forged.write_bytes(file.getvalue())
    return forged


def edited(path, change, name="forged"):
    """The bundle with its entries as ``change`` makes them of (kind, payload) in place."""
    parts = []
    count = 0
    for kind, text in read_all(path):
        if kind == ENTRIES:
            entries = json.loads(text)
            changed = change(entries)
            entries = entries if changed is None else changed
            count += len(entries)
            parts.append((kind, json.dumps(entries).encode()))
        elif kind == END:
            parts.append((kind, json.dumps(json.loads(text) | {"entries": count}).encode()))
        else:
            parts.append((kind, text))
    return rewritten(path, parts, name)


def test_truncation_at_every_byte_is_refused(other, small, tmp_path):
    whole = small.read_bytes()
    cut = tmp_path / "cut"
    before = other.stats()
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(Corrupt) as error:
            other.sessions.import_(cut)
        assert error.value.code == "invalid-bundle", length
    assert other.stats() == before
    cut.write_bytes(whole + b"\0")
    assert "follows its end" in refused(other, cut).message


def test_a_flipped_bit_in_any_byte_is_refused(other, small, tmp_path):
    whole = small.read_bytes()
    flipped = tmp_path / "flipped"
    before = other.stats()
    for at in range(len(whole)):
        flipped.write_bytes(whole[:at] + bytes((whole[at] ^ 1 << (at % 8),)) + whole[at + 1 :])
        with pytest.raises((Corrupt, WrongKey)):
            other.sessions.import_(flipped)
    assert other.stats() == before


@pytest.mark.parametrize("key", [PASSPHRASE, KEY], ids=["passphrase", "key"])
def test_an_encrypted_bundle_opens_with_its_key_only_and_shows_nothing(store, other, tmp_path, key):
    session = filled(store)
    session.state.set("secret", "hunter-two", state_class="sensitive")
    path = tmp_path / "sealed"
    told = store.sessions.export(session.id, path, key=key, secrets=True)
    assert (told.encrypted, told.redacted) == (True, 0)
    raw = path.read_bytes()
    assert not any(word in raw for word in (b"Research", b"hunter", b"r.md", session.id.encode()))
    assert refused(other, path, WrongKey).code == "key-needed"
    wrong = "another passphrase" if type(key) is str else bytes(32)
    assert refused(other, path, WrongKey, key=wrong).code == "wrong-bundle-key"
    assert refused(other, path, WrongKey, key=KEY if type(key) is str else PASSPHRASE).code == "wrong-bundle-key"
    other.sessions.import_(path, key=key)
    assert looks(other, session.id) == looks(store, session.id)
    there = other.sessions.open(session.id).state.entry("secret")
    assert (there.value, str(there.state_class)) == ("hunter-two", "sensitive")
    assert other.verify().ok


def test_frames_of_an_encrypted_bundle_keep_their_places(store, other, tmp_path):
    session = filled(store)
    path = tmp_path / "sealed"
    store.sessions.export(session.id, path, key=KEY)
    whole = path.read_bytes()
    start, bounds = 16 + 2 + 3 + 16 + 8, []
    at = start
    while at < len(whole) - 32:
        length = int.from_bytes(whole[at + 1 : at + 5])
        bounds.append((at, at + 5 + length))
        at += 5 + length
    parts = [whole[first:last] for first, last in bounds]
    for forged in (
        parts[:1] + parts[2:],
        [*parts[:2], parts[1], *parts[2:]],
        [parts[0], parts[2], parts[1], *parts[3:]],
    ):
        body = whole[:start] + b"".join(forged)
        path.write_bytes(body + blake3(body).digest())
        assert refused(other, path, key=KEY).code == "invalid-bundle"
    body = bytearray(whole[:-32])
    body[-1] ^= 1
    path.write_bytes(bytes(body) + blake3(bytes(body)).digest())
    assert refused(other, path, key=KEY).code == "invalid-bundle"


def test_sensitive_values_are_redacted_unless_an_encrypted_bundle_is_to_carry_them(store, other, tmp_path):
    session = store.sessions.create("s")
    session.state.set("secret", {"token": "hunter-two"}, state_class="sensitive")
    path = tmp_path / "b"
    with pytest.raises(InvalidInput) as error:
        store.sessions.export(session.id, path, secrets=True)
    assert error.value.code == "secrets-need-key"
    assert store.sessions.export(session.id, path).redacted == 1
    assert b"hunter" not in b"".join(text for _, text in read_all(path))
    other.sessions.import_(path)
    entry = other.sessions.open(session.id).state.entry("secret")
    assert (entry.value, str(entry.state_class)) == ("[REDACTED]", "external")
    store.sessions.export(session.id, path, key=KEY, overwrite=True)
    assert b"hunter" not in b"".join(text for _, text in read_all(path, KEY))


@pytest.mark.parametrize("key", ["short", b"short", 7, "long enough but \udcff"])
def test_keys_that_are_none_are_refused_before_anything_is_written(store, tmp_path, key):
    session = store.sessions.create("s")
    with pytest.raises(InvalidInput):
        store.sessions.export(session.id, tmp_path / "b", key=key)
    assert not (tmp_path / "b").exists()


def test_a_key_for_a_plain_bundle_is_not_ignored(other, small):
    assert refused(other, small, InvalidInput, key=KEY).code == "bundle-not-encrypted"


def test_frames_in_another_order_or_number_are_refused(other, small):
    parts = read_all(small)
    kinds = [kind for kind, _ in parts]
    assert kinds == [HEADER, CONTENT, PIECE, ENTRIES, END]
    header, content, piece, entries, end = parts
    for forged in (
        [content, header, piece, entries, end],
        [header, piece, content, entries, end],
        [header, entries, content, piece, end],
        [header, content, piece, content, piece, entries, end],
        [header, content, piece, entries, entries, end],
        [header, header, content, piece, entries, end],
        [header, content, entries, end],
        [header, entries, end],
        [header, content, piece, end],
        [header, end],
        [header, content, piece, entries, (7, b"{}"), end],
        [header, content, (PIECE, b"abcd"), entries, end],
        [header, content, (PIECE, b"abd"), entries, end],
        [header, content, piece, piece, entries, end],
        [header, content, piece, (ENTRIES, b"[]"), end],
        [header, content, piece, (ENTRIES, b"[" * 100_000), end],
        [header, content, piece, (ENTRIES, b"\xff"), end],
        [(HEADER, b"{}"), content, piece, entries, end],
    ):
        assert refused(other, rewritten(small, forged)).code == "invalid-bundle"
    assert other.sessions.import_(rewritten(small, parts)).outcome == "imported"


def test_a_content_that_nobody_names_is_refused(other, small):
    header, content, piece, entries, end = read_all(small)
    extra = json.dumps({"digest": blake3(b"extra").hexdigest(), "size": 5}).encode()
    ends = json.dumps(json.loads(end[1]) | {"contents": 2}).encode()
    forged = [header, content, piece, (CONTENT, extra), (PIECE, b"extra"), entries, (END, ends)]
    assert "no artifact names" in refused(other, rewritten(small, forged)).message


def test_bombs_are_refused_before_they_expand(other, small, monkeypatch):
    packed = zstandard.ZstdCompressor(level=19).compress(b"\0" * (frames.FRAME_BYTES_MAX + 1))
    unsized = zstandard.ZstdCompressor(level=3, write_content_size=False).compress(b"\0" * 1000)
    liar = bytearray(zstandard.ZstdCompressor(level=3).compress(b"\0" * 100_000))
    two = zstandard.ZstdCompressor().compress(b"{}") * 2
    header = read_all(small)[0]
    assert header
    forged = small.parent / "bomb"
    for body in (packed, unsized, two, bytes(liar[:-3]), b"", b"no frame at all"):
        front = frames.MAGIC + b"\1\0" + b"\1" + (len(body) + 1).to_bytes(4) + b"\1" + body
        forged.write_bytes(front + blake3(front).digest())
        assert refused(other, forged).code == "invalid-bundle"
    front = frames.MAGIC + b"\1\0" + b"\1" + b"\xff\xff\xff\xff"
    forged.write_bytes(front)
    assert "says that it has" in refused(other, forged).message
    assert frames.FRAME_BYTES_MAX >= VALUE_BYTES_MAX * 2


def _entry(entries, kind):
    return next(one for one in entries if one["kind"] == kind)


FORGERIES = {
    "traversal in an artifact's name": ("artifact.stored", {"name": "../../etc/passwd"}),
    "an absolute artifact's name": ("artifact.stored", {"name": "/etc/passwd"}),
    "traversal in a key": ("state.set", {"key": "../k"}),
    "a reserved key": ("state.set", {"key": "__k"}),
    "another scope": ("state.set", {"scope": "global"}),
    "another session's scope": ("state.set", {"scope": "session:00000000-0000-0000-0000-000000000000"}),
    "a sealed value in a plain bundle": ("state.set", {"state_class": "sensitive"}),
    "a class that is none": ("state.set", {"state_class": "x"}),
    "an expiry that is none": ("state.set", {"expires_at": -1}),
    "a control character in a name": ("session.created", {"name": "a\nb"}),
    "a very long name": ("session.created", {"name": "x" * 1000}),
    "metadata of a wrong type": ("session.created", {"metadata": []}),
    "another session": ("session.created", {"id": "00000000-0000-0000-0000-000000000001"}),
    "tags twice": ("session.created", {"tags": ["a", "a"]}),
    "another session's artifact": ("artifact.stored", {"session": "00000000-0000-0000-0000-000000000001"}),
    "a digest that is not in it": ("artifact.stored", {"digest": "0" * 64}),
    "a digest that is none": ("artifact.stored", {"digest": "zz"}),
    "another size": ("artifact.stored", {"size": 4}),
    "version 0": ("artifact.stored", {"version": 0}),
    "a version that leaves no room for others": ("artifact.stored", {"version": (1 << 63) - 1}),
    "a version beyond all numbers": ("artifact.stored", {"version": 1 << 63}),
    "a MIME type that is none": ("artifact.stored", {"mime_type": "text"}),
    "a label that is a range": ("artifact.tagged", {"label": "^1"}),
    "a label that is a number": ("artifact.tagged", {"label": "7"}),
    "a hash that is none": ("session.checkpointed", {"state_hash": "x"}),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_payloads_that_no_room_would_write_are_refused(other, small, what):
    kind, change = FORGERIES[what]

    def change_it(entries):
        _entry(entries, kind)["payload"].update(change)

    assert refused(other, edited(small, change_it)).code == "invalid-bundle"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "session.deleted"), ("kind", "session.shredded"), ("kind", "access.granted"), ("kind", "nothing"),
        ("kind", "payload.erased"), ("kind_version", 9), ("seq", 0), ("seq", 1 << 63), ("at", -1), ("id", "x"),
        ("correlation", ""), ("cause", 1 << 40), ("actor", ""), ("actor", "a\nb"),
    ],
)  # fmt: skip
def test_headers_that_no_journal_would_have_are_refused(other, small, field, value):
    def change_it(entries):
        entries[-1][field] = value

    assert refused(other, edited(small, change_it)).code == "invalid-bundle"


def test_a_session_above_itself_is_refused(other, small):
    def change_it(entries):
        entries[0]["payload"]["parent"] = entries[0]["payload"]["id"]

    assert refused(other, edited(small, change_it)).code == "invalid-bundle"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_artifacts_derived_from_each_other_in_a_circle_are_refused(store, other, tmp_path, count):
    session = store.sessions.create("s")
    ids = [session.artifacts.put(f"a{n}", f"{n}").id for n in range(count)]
    store.sessions.export(session.id, tmp_path / "sound")

    def change_it(entries):
        stored = [one["payload"] for one in entries if one["kind"] == "artifact.stored"]
        for at, one in enumerate(stored):
            one["derived_from"] = [ids[(at + 1) % count]]

    assert refused(other, edited(tmp_path / "sound", change_it), Conflict).code == "relation-cycle"


def test_histories_that_never_were_are_refused(other, small):
    def without_creation(entries):
        return entries[1:]

    def created_twice(entries):
        return [*entries, entries[0] | {"seq": entries[-1]["seq"] + 1}]

    def illegal_step(entries):
        step = {"id": entries[0]["payload"]["id"], "was": "active", "now": "archived", "reason": None}
        return [*entries, entries[0] | {"seq": 900, "kind": "session.archived", "payload": step}]

    def a_step_from_elsewhere(entries):
        step = {"id": entries[0]["payload"]["id"], "was": "suspended", "now": "active", "reason": None}
        return [*entries, entries[0] | {"seq": 900, "kind": "session.resumed", "payload": step}]

    def deleted_what_is_not_there(entries):
        of = entries[0]["payload"]["id"]
        gone = {"scope": f"session:{of}", "key": "never", "version": 1, "previous": 0}
        return [*entries, entries[0] | {"seq": 900, "kind": "state.deleted", "payload": gone}]

    def checkpoint_twice(entries):
        return [*entries, _entry(entries, "session.checkpointed") | {"seq": 900}]

    def version_twice(entries):
        return [*entries, _entry(entries, "artifact.stored") | {"seq": 900}]

    def label_of_nothing(entries):
        of = entries[0]["payload"]["id"]
        tag = {"session": of, "name": "a.txt", "version": 5, "label": "v"}
        return [*entries, entries[0] | {"seq": 900, "kind": "artifact.tagged", "payload": tag}]

    for change in (
        without_creation, created_twice, illegal_step, a_step_from_elsewhere, deleted_what_is_not_there,
        checkpoint_twice, version_twice, label_of_nothing,
    ):  # fmt: skip
        head = other.stats()["last_seq"]
        with pytest.raises((Corrupt, llmspell.Conflict)):
            other.sessions.import_(edited(small, change))
        assert other.stats()["last_seq"] == head, change
        assert other.sessions.list().items == []
    assert other.verify().ok


def test_a_time_to_come_does_not_hold_back_the_journal(face, other, small):
    def to_come(entries):
        for entry in entries:
            entry["at"] = (1 << 63) - 1

    now = face.clock.now_ns()
    other.sessions.import_(edited(small, to_come))
    assert all(entry.at < now + 1_000_000_000 for entry in other.timeline(limit=100))
    assert other.verify().ok


def test_an_artifact_of_another_session_is_not_taken_over(other, small):
    other.sessions.import_(small)
    fresh = "01900000-0000-7000-8000-00000000beef"
    text = small.parent / "twin"
    old = json.loads(read_all(small)[0][1])["session"]
    parts = [(kind, body.replace(old.encode(), fresh.encode())) for kind, body in read_all(small)]
    text = rewritten(small, parts, "twin")
    head = other.stats()["last_seq"]
    with pytest.raises(AlreadyExists) as error:
        other.sessions.import_(text)
    assert error.value.code == "artifact-exists"
    assert other.stats()["last_seq"] == head


def test_every_payload_that_is_carried_is_checked_as_what_it_is():
    assert {"state.set", "session.created", "artifact.stored", "event.published", "run.recorded"} <= CARRIED.keys()
    assert not {"session.deleted", "session.shredded", "session.imported", "payload.erased"} & CARRIED.keys()
    assert all(issubclass(kind.payload, msgspec.Struct) for kind in CARRIED.values())
