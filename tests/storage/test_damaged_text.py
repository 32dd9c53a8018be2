"""Text in the file that is no text any more is damage, whoever meets it: never an error of Python's codecs."""

import apsw
import pytest

import llmspell
from llmspell.errors import Corrupt

READS = {
    "get": lambda store: store.state.get("k"),
    "entry": lambda store: store.state.entry("k"),
    "items": lambda store: store.state.items(),
    "set": lambda store: store.state.set("k", 2),
    "set_many": lambda store: store.state.set_many({"k": 2, "l": 3}),
    "update": lambda store: store.state.update("k", lambda _old: 3),
}


@pytest.mark.parametrize("read", sorted(READS))
def test_damaged_text_is_corrupt_and_not_a_codecs_error(tmp_path, read):
    with llmspell.open(tmp_path / "s") as store:
        store.state.set("k", "v")
    main = next((tmp_path / "s").glob("generation-*/main.db"))
    connection = apsw.Connection(str(main))
    connection.execute("UPDATE state SET value = CAST(x'22ff22' AS TEXT) WHERE key = 'k'")
    connection.close()
    with llmspell.open(tmp_path / "s") as store, pytest.raises(Corrupt):
        READS[read](store)
