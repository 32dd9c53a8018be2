"""A migration of sealed values needs their key, and asks for it before it writes anything; others need none."""

import pytest

import llmspell
from llmspell.errors import NotFound
from llmspell.model.scope import Scope
from tests.migration.people import fill, new, old, planned


@pytest.fixture
def keys(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


def filled(folder, seal):
    """A store of users in which ``seal`` kept something; it is opened again by whoever has lost the keys."""
    with llmspell.open(folder, durability="process") as store:
        fill(store, 3)
        seal(store)


def lose(keys):
    for file in keys.iterdir():
        file.unlink()


SCOPES = pytest.mark.parametrize("scope", ["global", None])


@SCOPES
@pytest.mark.parametrize("key", ["user:", "user:0001", "user:zz"])
def test_without_the_key_of_a_value_it_would_change_a_migration_writes_nothing(tmp_path, keys, scope, key):
    filled(tmp_path / "s", lambda store: store.state.set(key, old(7), state_class="sensitive"))
    lose(keys)
    with llmspell.open(tmp_path / "s", durability="process") as store:
        plan = planned(store, scope=scope)
        before = store.stats()["last_seq"]
        with pytest.raises(NotFound) as error:
            store.migrations.apply(plan)
        assert error.value.code == "keyring-missing"
        assert store.stats()["last_seq"] == before


@SCOPES
@pytest.mark.parametrize("key", ["user", "user9", "user;"])
def test_a_sealed_value_beside_its_keys_is_none_of_its_business(tmp_path, keys, scope, key):
    filled(tmp_path / "s", lambda store: store.state.set(key, "sealed", state_class="sensitive"))
    lose(keys)
    with llmspell.open(tmp_path / "s", durability="process") as store:
        assert store.migrations.apply(planned(store, scope=scope)).changed == 3
        assert store.state.get("user:0002") == new(2, kept={"n": 2})


def test_nor_is_one_that_was_deleted_or_is_in_another_scope(tmp_path, keys):
    def seal(store):
        store.state.set("user:gone", "sealed", state_class="sensitive")
        store.state.delete("user:gone")
        store.state_of(Scope.user("x")).set("user:1", "sealed", state_class="sensitive")

    filled(tmp_path / "s", seal)
    lose(keys)
    with llmspell.open(tmp_path / "s", durability="process") as store:
        assert store.migrations.apply(planned(store)).changed == 3
