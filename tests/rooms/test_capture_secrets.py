"""What was offered with a secret in it: the secret is in no file, unless the rule says to keep it."""

import io
import random
from pathlib import Path

import pytest

from llmspell.errors import Corrupt, LlmspellError, NotFound
from llmspell.security.redaction import Redactor
from tests.security.test_canary import contents

CANARY = "Zq7Kx2Vw9Lm4Tn8Rb3Yc"
TOKEN = f"ghp_{CANARY}aB3dE6gH9jK2mN5p"
NOISE = random.Random(3).randbytes(300_000)


@pytest.fixture(autouse=True)
def keys(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))


@pytest.fixture
def session(store):
    return store.sessions.create("s")


def leaks(face, store):
    """Where the canary is in the files of a store, closed."""
    folder = Path(store.path)
    face.close_stores()
    return sorted({where for where, content in contents(folder) if CANARY.encode() in content})


OUTPUTS = {
    "text": f"the key is {TOKEN} and more",
    "long text": "word " * 60_000 + TOKEN + " word" * 300_000,
    "value": {"a": [{"deep": TOKEN}], "password": CANARY},
    "json": f'{{"password": "{CANARY}", "n": 1}}',
    "stream": [
        b"line of text\n" * 50_000,
        f"header {TOKEN[:20]}".encode(),
        f"{TOKEN[20:]} end\n".encode(),
        b"z\n" * 99,
    ],
    "bytes": f"x {TOKEN}\n".encode(),
}
MIMES = {"json": "application/json"}


def content(name):
    given = OUTPUTS[name]
    return iter(given) if name == "stream" else given


@pytest.mark.parametrize("name", OUTPUTS)
def test_secrets_are_replaced_before_anything_is_written(face, store, session, name):
    store.captures.set_rules([{"name": "all"}])
    answer = session.captures.offer(content(name), source="tool", mime_type=MIMES.get(name))
    assert (answer.captured, sum(answer.redacted.values())) == (True, 2 if name == "value" else 1)
    data = session.artifacts.get(answer.artifact.id).read()
    assert b"[REDACTED]" in data
    assert leaks(face, store) == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_holds_a_secret_is_skipped_where_the_rule_says_so(face, store, session, name):
    store.captures.set_rules([{"name": "all", "privacy": "skip", "record_skips": True}])
    answer = session.captures.offer(content(name), source="tool", mime_type=MIMES.get(name))
    assert (answer.captured, answer.reason) == (False, "secret-found")
    assert CANARY not in str(answer.to_dict())
    assert session.artifacts.list().items == []
    assert leaks(face, store) == []


def test_a_secret_in_what_is_said_about_the_content_is_replaced_too(face, store, session):
    store.captures.set_rules([
        {"name": "cut", "names": ["*cut"], "size_max": 1, "record_skips": True}, {"name": "all"},
    ])  # fmt: skip
    said = {"metadata": {"call": {"api_key": TOKEN}}, "tags": [TOKEN], "mime_type": f"text/plain; token={TOKEN}"}
    info = session.captures.offer("clean", source="tool", name=f"call {TOKEN}", **said).artifact
    assert (info.metadata, info.tags, info.mime_type) == (
        {"call": {"api_key": "[REDACTED]"}},
        ["[REDACTED]"],
        "text/plain",
    )
    assert CANARY not in info.name
    odd = session.captures.offer("clean", source="tool", name="odd", mime_type=f"application/{TOKEN}").artifact
    assert odd.mime_type == "application/octet-stream"
    assert session.captures.offer("clean", source="tool", name=f"{TOKEN} cut", **said).reason == "too-large"
    assert session.captures.offer("clean", source="tool", name=TOKEN, record=True, **said).captured
    store.captures.set_rules([])
    assert session.captures.offer("clean", source="tool", name=TOKEN, record=True, **said).reason == "no-rule"
    assert leaks(face, store) == []


@pytest.mark.parametrize("size", [100, 200_000])
def test_a_secret_in_what_is_no_text_is_kept_out(face, store, session, size):
    store.captures.set_rules([{"name": "all"}])
    data = b"\x89PNG\0" + NOISE[:size] + f" {TOKEN} ".encode() + b"\0"
    for given in (data, io.BytesIO(data), f"utf-16 {TOKEN} text".encode("utf-16")):
        assert session.captures.offer(given, source="tool").reason == "secret-in-binary"
    assert session.captures.offer(NOISE, source="tool").captured
    assert session.artifacts.get("tool/output").read() == NOISE
    assert leaks(face, store) == []


def test_a_rule_may_keep_what_it_is_given(store, session):
    store.captures.set_rules([{"name": "all", "privacy": "keep"}])
    answer = session.captures.offer(OUTPUTS["text"], source="tool", metadata={"token": TOKEN})
    assert (answer.redacted, answer.artifact.metadata) == ({}, {"token": TOKEN})
    assert session.artifacts.get("tool/output").text() == OUTPUTS["text"]


def test_a_finder_of_the_stores_own_is_asked(face, tmp_path):
    store = face.open(redactor=Redactor(patterns={"project": r"bluebird-\d{4}"}))
    store.captures.set_rules([{"name": "all"}])
    answer = store.sessions.create("s").captures.offer(b"codename bluebird-1234", source="tool")
    assert answer.redacted == {"project": 1}


# -- sealing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OUTPUTS)
def test_sealed_content_is_read_with_the_key_and_shows_in_no_file(face, store, session, name):
    store.captures.set_rules([{"name": "all", "privacy": "seal", "store_as": "s"}])
    answer = session.captures.offer(content(name), source="tool", mime_type=MIMES.get(name), metadata={"token": TOKEN})
    assert answer.captured
    info = answer.artifact
    assert (info.mime_type, info.metadata["token"]) == ("application/vnd.llmspell.sealed", "[REDACTED]")
    assert CANARY.encode() not in session.artifacts.get("s").read()
    for opened in face.both(store):
        data = opened.sessions.open(session.id).captures.unseal("s")
        assert CANARY.encode() in data
        assert opened.captures.unseal(info.id) == data
        report = opened.verify()
        assert report.ok, report.findings
    assert leaks(face, opened) == []


def test_what_is_not_sealed_cannot_be_unsealed(store, session):
    info = session.artifacts.put("plain", "text")
    fake = session.artifacts.put("fake", "text", mime_type="application/vnd.llmspell.sealed")
    for one, code in ((info, "not-sealed"), (fake, "sealed-cut")):
        with pytest.raises(LlmspellError) as refused:
            store.captures.unseal(one.id)
        assert refused.value.code == code


def test_sealed_content_of_another_place_is_refused(store, session):
    store.captures.set_rules([{"name": "all", "privacy": "seal"}])
    info = session.captures.offer("private", source="user").artifact
    sealed = session.artifacts.get(info.id).read()
    other = store.sessions.create("other")
    other.captures.offer("has a key", source="user")
    moved = other.artifacts.put("moved", sealed, mime_type=info.mime_type)
    with pytest.raises(Corrupt):
        store.captures.unseal(moved.id)


def test_sealed_content_is_read_in_a_fork_until_its_origin_is_shredded(store, session):
    store.captures.set_rules([{"name": "all", "privacy": "seal", "store_as": "s"}])
    session.captures.offer("private", source="user")
    fork = store.sessions.fork(session.id)
    last = store.sessions.fork(fork.id)
    assert fork.captures.unseal("s") == last.captures.unseal("s") == b"private"
    info = fork.artifacts.update("s", description="changed, and so the fork's own")
    assert fork.captures.unseal("s") == store.captures.unseal(info.id) == b"private"
    fork.captures.offer("of the fork", source="user")
    assert [fork.captures.unseal("s", version=number) for number in (1, 2)] == [b"private", b"of the fork"]
    session.complete()
    store.sessions.shred(session.id, detach=True)
    assert fork.captures.unseal("s") == b"of the fork"
    with pytest.raises(NotFound):
        last.captures.unseal("s", version=1)


def test_a_lost_keyring_is_not_replaced_by_another(face, store, session, tmp_path):
    store.captures.set_rules([{"name": "all", "privacy": "seal"}])
    info = session.captures.offer("private", source="user").artifact
    face.close_stores()
    (ring,) = (tmp_path / "keys").glob("*.keyring")
    ring.rename(tmp_path / "away")
    opened = face.open()
    for act in (
        lambda: opened.captures.unseal(info.id),
        lambda: opened.sessions.open(session.id).captures.offer("more", source="user"),
    ):
        with pytest.raises(NotFound) as refused:
            act()
        assert refused.value.code == "keyring-missing"
    (tmp_path / "away").rename(ring)
    assert opened.captures.unseal(info.id) == b"private"


def test_a_shredded_session_leaves_nothing_of_its_captures(face, store, session):
    store.captures.set_rules([{"name": "all", "privacy": "keep"}])
    session.captures.set_rules([{"name": f"rule {CANARY}", "sources": ["user"], "privacy": "seal"}])
    session.captures.offer(OUTPUTS["long text"], source="tool", name=CANARY)
    session.captures.offer("private", source="user", name=CANARY)
    session.captures.offer("x", source="agent", name=CANARY, record=True)
    with session:
        store.captures.set_rules([{"name": "of the store"}])
    store.sessions.create("other").captures.offer("stays", source="tool")
    session.complete()
    store.sessions.shred(session.id)
    report = store.verify()
    assert report.ok, report.findings
    assert [rule.name for rule in store.captures.rules()] == ["of the store"]
    assert leaks(face, store) == []
