"""What ``verify`` says of sealed values: opened for their place where the key is, counted where it is not."""

import shutil

import pytest

import llmspell
from llmspell.errors import WrongKey

KEY = bytes(range(32))


def opened(folder, **options):
    return llmspell.open(folder / "s", durability="process", **options)


def filled(folder, **options):
    """Three sealed values, one of them not current any more, and plain ones that speak of such."""
    with opened(folder, **options) as store:
        store.state.set("a", "hunter1", state_class="sensitive")
        store.state.set("a", "hunter2")
        with store.session("s") as session:
            session.state.set("b", "hunter3", state_class="sensitive")
        store.state.set("word", {"state_class": "sensitive", "x": "sensitive"})


def counts(report):
    return report.checked.get("sealed_values"), report.checked.get("unopened_values")


@pytest.mark.parametrize("encrypt", [False, True])
def test_every_sealed_value_is_opened_where_the_key_is(tmp_path, encrypt):
    filled(tmp_path, encrypt=encrypt)
    with opened(tmp_path) as store:
        report = store.verify()
        assert (report.ok, *counts(report), report.unopened_why) == (True, 3, 0, None)


def test_a_store_without_sealed_values_says_nothing_of_them(tmp_path):
    with opened(tmp_path) as store:
        store.state.set("word", "sensitive")
        assert counts(store.verify()) == (None, None)


@pytest.mark.parametrize("gone", ["key", "keyring", "both", "wrong"])
def test_without_the_key_the_store_is_clean_and_what_was_not_opened_is_counted_with_its_reason(tmp_path, keys, gone):
    filled(tmp_path)
    if gone == "wrong":
        next(keys.glob("*.key")).write_text(KEY.hex())
    for name in ("key", "keyring"):
        if gone in (name, "both"):
            next(keys.glob(f"*.{name}")).unlink()
    with opened(tmp_path) as store:
        report = store.verify()
    assert (report.ok, *counts(report)) == (True, 0, 3)
    assert report.to_dict()["unopened_why"] == report.unopened_why
    assert "key" in report.unopened_why


def test_a_wrong_key_that_is_given_is_refused(tmp_path):
    filled(tmp_path, key=KEY)
    with pytest.raises(WrongKey):
        opened(tmp_path, key=bytes(32))


def test_a_value_that_was_sealed_for_another_place_is_found_though_every_hash_is_right(tmp_path, monkeypatch):
    filled(tmp_path)
    with opened(tmp_path) as store:
        protection = store._store.protection
        sealed = protection._sealed
        monkeypatch.setattr(protection, "_sealed", lambda scope, _key, text: sealed(scope, "elsewhere", text))
        store.state.set("moved", "hunter4", state_class="sensitive")
        report = store.verify()
        found = [(one.where, one.seq) for one in report.findings]
        assert found == [("sealed", report.head[0])]
        assert "'moved'" in report.findings[0].what
        assert counts(report) == (3, 0)


def test_a_value_whose_key_is_not_in_an_open_keyring_is_found(tmp_path, keys):
    filled(tmp_path)
    ring = next(keys.glob("*.keyring"))
    older = ring.read_bytes()
    with opened(tmp_path) as store, store.session("later") as session:
        session.state.set("c", "hunter5", state_class="sensitive")
    ring.write_bytes(older)
    with opened(tmp_path) as store:
        report = store.verify()
        assert [one.where for one in report.findings] == ["sealed"]
        assert counts(report) == (3, 0)


def test_a_damaged_keyring_is_found_once(tmp_path, keys):
    filled(tmp_path)
    next(keys.glob("*.keyring")).write_bytes(b"no keyring at all")
    with opened(tmp_path) as store:
        report = store.verify()
    assert len(report.findings) == 1
    assert counts(report) == (0, 3)


def test_a_shredded_value_is_neither_opened_nor_missed(tmp_path):
    filled(tmp_path)
    with opened(tmp_path) as store:
        store.sessions.shred(store.sessions.list().items[0].id)
        report = store.verify()
        assert (report.ok, *counts(report)) == (True, 2, 0)


def test_an_older_copy_says_that_the_key_of_what_it_cannot_open_was_shredded(tmp_path):
    filled(tmp_path)
    shutil.copytree(tmp_path / "s", tmp_path / "older")
    with opened(tmp_path) as store:
        store.sessions.shred(store.sessions.list().items[0].id)
    with llmspell.open(tmp_path / "older") as store:
        report = store.verify()
        assert (report.ok, *counts(report)) == (True, 2, 1)
        assert "shredded" in str(report.unopened_why)
        assert report.to_dict()["unopened_why"] == report.unopened_why
