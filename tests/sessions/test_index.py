"""The index of sessions: filled by maintenance, checked by verify, and emptied of what is erased."""

import multiprocessing

import apsw
import pytest

import llmspell
from llmspell.model.ids import id_bytes
from llmspell.sessions import index
from llmspell.sync.drive import drive
from tests.sessions.conftest import core, read, take_in

COUNTS = "SELECT (SELECT count(*) FROM session_text), (SELECT count(DISTINCT since_seq) FROM session_term)"
"""Sessions with words, and sessions with terms: those that have a tag, a creator or metadata."""


@pytest.fixture
def opened(tmp_path):
    store = llmspell.open(tmp_path / "s", durability="process")
    yield store
    store.close()


def raw(store):
    """Statements past every check."""
    return core(store)._files.engine.writer.execute


def counts(store):
    return read(store, lambda view: view.one(COUNTS))


def settle(store):
    while take_in(store):
        pass


def test_closing_takes_in_what_has_gathered_and_the_next_opening_uses_it(tmp_path):
    store = llmspell.open(tmp_path / "s", durability="process")
    for n in range(index.TAIL_ROWS_MAX + 1):
        store.sessions.create(f"s{n}", tags=["t"])
    store.close()
    store = llmspell.open(tmp_path / "s")
    words, rows = counts(store)
    # A checkpoint in between may have taken in a part; what is left then is few enough.
    assert words == rows
    assert rows > 0
    assert not read(store, index.indexing_sessions().due)
    assert read(store, index.watermark_of) > 0
    assert store.sessions.count(tags=["t"]).number == index.TAIL_ROWS_MAX + 1
    assert store.verify().ok
    store.close()


def test_few_changes_are_not_worth_a_step(opened):
    task = index.indexing_sessions(3)
    for n in range(3):
        opened.sessions.create(f"s{n}")
    assert not read(opened, task.due)
    opened.sessions.create("s3")
    assert read(opened, task.due)
    settle(opened)
    assert not read(opened, task.due)
    for info in opened.sessions.list():
        opened.sessions.delete(info.id)
    assert read(opened, task.due)


def test_steps_take_in_a_bounded_number_of_sessions_and_of_characters(opened):
    for n in range(5):
        opened.sessions.create(f"s{n}")
    assert [take_in(opened, 2) for _ in range(4)] == [2, 2, 0, 0]
    for n in range(4):
        opened.sessions.create(f"big{n}", metadata={"note": "x" * (index.STEP_CHARS // 2 + 1)})
    assert [take_in(opened) for _ in range(3)] == [index.STEP_ROWS, 0, 0]
    assert counts(opened) == (9, 4)


def test_a_session_is_in_the_index_once_however_often_it_changed(opened):
    session = opened.sessions.create("first words", metadata={"a": 1})
    settle(opened)
    for n in range(3):
        session.update(name=f"name {n}", metadata={"a": n})
        session.save()
        settle(opened)
    assert counts(opened) == (1, 1)
    assert not opened.sessions.list(text="first").items
    assert opened.sessions.list(text="name 2", metadata={"a": 2}).items
    opened.sessions.delete(session.id)
    settle(opened)
    assert counts(opened) == (0, 0)
    assert opened.verify().ok


def test_a_rolled_back_step_leaves_the_index_as_it_was(opened):
    opened.sessions.create("s")

    async def fails(tx):
        await index.step(tx)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        drive(core(opened).journal.database.write(fails))
    assert (counts(opened), read(opened, index.watermark_of)) == ((0, 0), 0)


DAMAGES = [
    ("DELETE FROM session_term", "session_term"),
    ("DELETE FROM session_text WHERE rowid = (SELECT min(rowid) FROM session_text)", "session_text"),
    ("UPDATE session_text SET words = 'other'", "session_text"),
    ("INSERT INTO session_term VALUES (5, 999)", "session_term"),
    ("INSERT INTO session_text (rowid, words) VALUES (999, 'stray')", "session_text"),
]


@pytest.mark.parametrize("damage,where", DAMAGES)
def test_verify_names_what_is_wrong_in_the_index(opened, damage, where):
    for n in range(3):
        opened.sessions.create(f"s{n}", tags=["t"])
    settle(opened)
    assert opened.verify().ok
    raw(opened)(damage)
    findings = opened.verify().findings
    assert findings
    assert {finding.where for finding in findings} == {where}


def test_verify_finds_an_index_of_words_that_does_not_fit_its_words(opened):
    opened.sessions.create("one")
    settle(opened)
    writer = core(opened)._files.engine.writer
    writer.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    writer.execute("UPDATE session_text_content SET c0 = 'two'")
    assert not opened.verify().ok


def test_a_damaged_term_finds_no_session_that_does_not_fit(opened):
    session = opened.sessions.create("one", tags=["a"])
    opened.sessions.create("two", tags=["b"])
    settle(opened)
    raw(opened)(
        "INSERT OR IGNORE INTO session_term"
        " SELECT t.term, s.since_seq FROM session_term t, session s WHERE s.name = 'two'"
    )
    assert [info.id for info in opened.sessions.list(tags=["a"])] == [session.id]


def test_nothing_of_a_forgotten_session_is_left_in_the_index(opened):
    for n in range(50):
        opened.sessions.create(f"neighbour {n}", description="zyzzyvo zyzzyvas")
    session = opened.sessions.create("zyzzyva", metadata={"word": "qqxqq"})
    settle(opened)
    session.update(name="plainer", metadata={"word": "jjxjj"})
    settle(opened)

    def held():
        blocks = b"".join(row[0] for row in raw(opened)("SELECT block FROM session_text_data"))
        texts = b"".join(str(row).encode() for row in raw(opened)("SELECT * FROM session_text_content"))
        return {word for word in (b"qqxqq", b"jjxjj", b"plainer") if word in blocks + texts}

    assert {b"jjxjj", b"plainer"} <= held()
    key = id_bytes(session.id)
    drive(core(opened).journal.database.write(lambda tx: index.forget(tx, key)))
    assert held() == set()
    assert not opened.sessions.list(text="jjxjj").items
    assert opened.sessions.list(text="zyzzyvas", limit=100).items
    terms = "SELECT count(*) FROM session_term WHERE since_seq IN (SELECT since_seq FROM session WHERE id = ?)"
    assert next(raw(opened)(terms, (key,)))[0] == 0


def _writer(path, tag):
    store = llmspell.open(path, durability="process")
    for n in range(60):
        store.sessions.create(f"{tag} {n}", tags=[tag])
        if n % 7 == 0:
            settle(store)
    store.close()


def test_processes_that_write_and_index_at_once_find_all_sessions(tmp_path):
    path = tmp_path / "s"
    llmspell.open(path).close()
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_writer, args=(path, tag)) for tag in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    store = llmspell.open(path)
    for tag in ("a", "b"):
        assert store.sessions.count(tags=[tag]).number == 60
        assert store.sessions.count(text=tag).number == 60
    assert store.verify().ok
    store.close()


def test_nothing_of_a_shredded_session_is_left_in_the_index_or_the_files(tmp_path):
    store = llmspell.open(tmp_path / "s")
    session = store.sessions.create("qqxqqname", description="wordqqxqq", tags=["tagqqxqq"])
    store.sessions.create("another", description="which stays")
    settle(store)
    session.update(description="laterqqxqq")
    settle(store)
    session.complete()
    store.sessions.shred(session.id)
    assert store.sessions.list(text="stays").items
    assert not store.sessions.list(text="laterqqxqq").items
    assert store.verify().ok
    store.close()
    left = [path.name for path in (tmp_path / "s").rglob("*") if path.is_file() and b"qqxqq" in path.read_bytes()]
    assert left == []
