"""Whoever changes, drops or reorders entries behind the journal's back is found out, with the entry's seq."""

import apsw
import pytest

import llmspell
from llmspell.errors import Corrupt, NeedsMigration
from llmspell.events.kinds import PUBLISHED, EventPublished
from llmspell.journal import terms
from llmspell.journal.kinds import OWN, Kinds
from llmspell.journal.reading import EntryQuery, entry_at, read_page
from llmspell.model.scope import Scope
from llmspell.schema import later_tables
from tests.journal.test_format import erase

COLUMNS = {
    "id": "zeroblob(16)",
    "at": "at + 1",
    "clock": "clock - 1",
    "kind": "'state.deleted'",
    "kind_version": "2",
    "subject": "zeroblob(16)",
    "session": "coalesce(nullif(session, session), zeroblob(16))",
    "correlation": "zeroblob(16)",
    "cause": "cause + 1",
    "actor": "'somebody'",
    "codec": "1",
    "salt": "zeroblob(16)",
    "payload": "payload || ' '",
    "digest": "zeroblob(32)",
    "prev": "zeroblob(32)",
    "hash": "zeroblob(32)",
}
TYPES = {
    "id": "'text'", "at": "9223372036854775807", "session": "x''", "salt": "NULL", "payload": "NULL",
    "payload-blob": "CAST(payload AS BLOB)", "codec": "9", "hash": "x'00'", "prev": "x''", "digest": "x''",
}  # fmt: skip


@pytest.fixture
def filled(bench):
    for n in range(1, 6):
        bench.append(PUBLISHED, EventPublished("a.b", {"n": n}))
    return bench


def damaged(bench, seq):
    with pytest.raises(Corrupt) as refused:
        bench.read(lambda view: entry_at(view, seq))
    assert refused.value.details["seq"] == seq
    with pytest.raises(Corrupt):
        bench.read(lambda view: read_page(view, EntryQuery(), 100))
    assert bench.read(lambda view: entry_at(view, seq + 1)) is not None


@pytest.mark.parametrize("column", sorted(COLUMNS))
def test_a_changed_column_is_damage_that_names_its_entry(filled, column):
    filled.sql(f"UPDATE entry SET {column} = {COLUMNS[column]} WHERE seq = 3")  # noqa: S608 - the table above
    damaged(filled, 3)


@pytest.mark.parametrize("case", sorted(TYPES))
def test_a_column_of_a_wrong_kind_is_damage_and_not_a_crash(filled, case):
    column = case.partition("-")[0]
    if column == "id":
        with pytest.raises(apsw.ConstraintError):  # The table is strict.
            filled.sql("UPDATE entry SET id = 'text' WHERE seq = 3")
        return
    filled.sql(f"UPDATE entry SET {column} = {TYPES[case]} WHERE seq = 3")  # noqa: S608 - the table above
    damaged(filled, 3)


@pytest.mark.parametrize("column,value", [("digest", "zeroblob(32)"), ("digest", "NULL"), ("salt", "zeroblob(16)"),
                                          ("payload", "'{}'")])  # fmt: skip
def test_an_erased_entry_is_checked_as_well(filled, column, value):
    erase(filled.sql, 3)
    assert filled.read(lambda view: entry_at(view, 3)).payload is None
    filled.sql(f"UPDATE entry SET {column} = {value} WHERE seq = 3")  # noqa: S608 - the table above
    damaged(filled, 3)


def test_bytes_moved_from_one_id_to_the_next_are_damage_though_the_hash_is_over_the_same_bytes(filled):
    id_, subject = next(filled.sql("SELECT id, subject FROM entry WHERE seq = 3"))
    filled.sql("UPDATE entry SET id = ?, subject = ? WHERE seq = 3", (id_[:15], id_[15:] + subject))
    damaged(filled, 3)


def test_zeros_where_no_session_was_are_damage_though_the_hash_is_over_the_same_bytes(filled):
    filled.sql("UPDATE entry SET session = zeroblob(16) WHERE seq = 3")
    damaged(filled, 3)


# -- verify ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    with llmspell.open(tmp_path / "s", durability="process") as opened:
        session = opened.sessions.create("s", state={"a": 1})
        for n in range(5):
            session.state.set("a", n)
            opened.events.publish("x.y", n)
            session.artifacts.put("f.txt", f"text {n}")
        yield opened


def sql(store):
    return store._store._files.engine.writer.execute


def make_all_tables(store):
    for made_later in dict.fromkeys(later_tables().values()):
        sql(store)(made_later)


def findings(store, where="entry"):
    report = store.verify()
    assert not report.ok
    return [finding for finding in report.findings if finding.where == where]


def test_a_sound_store_has_no_findings_and_says_what_was_checked(store):
    report = store.verify()
    assert report.ok
    assert report.checked["entries"] == store.stats()["last_seq"] == report.head[0]
    assert report.checked["blobs"] == 5
    assert report.to_dict()["ok"] is True


@pytest.mark.parametrize("column", sorted(COLUMNS))
def test_verify_names_an_entry_whose_column_was_changed(store, column):
    sql(store)(f"UPDATE entry SET {column} = {COLUMNS[column]} WHERE seq = 5")  # noqa: S608 - the table above
    assert {finding.seq for finding in findings(store)} <= {5, 6}
    assert 5 in {finding.seq for finding in findings(store)}


def test_verify_names_what_is_missing_in_the_middle(store):
    sql(store)("DELETE FROM entry WHERE seq BETWEEN 5 AND 6")
    found = findings(store)
    assert any("5 to 6" in finding.what and finding.seq == 7 for finding in found)


def test_verify_sees_entries_that_were_swapped(store):
    sql(store)("UPDATE entry SET seq = -5 WHERE seq = 5")
    sql(store)("UPDATE entry SET seq = 5 WHERE seq = 6")
    sql(store)("UPDATE entry SET seq = 6 WHERE seq = -5")
    assert {finding.seq for finding in findings(store)} >= {5, 6}


def test_verify_sees_an_entry_put_in_between(store):
    head = store.stats()["last_seq"]
    sql(store)(f"INSERT INTO entry SELECT {head + 1}, id, at, clock, kind, kind_version, subject, session, correlation,"  # noqa: S608 - a number
               " cause, actor, codec, salt, payload, digest, prev, hash FROM entry WHERE seq = 5")  # fmt: skip
    assert head + 1 in {finding.seq for finding in findings(store)}


def test_verify_sees_a_tail_that_was_cut_off_by_what_it_left_behind(store):
    head = store.stats()["last_seq"]
    sql(store)("DELETE FROM entry WHERE seq > ?", (head - 3,))
    assert not store.verify().ok


def test_verify_sees_a_cut_tail_that_the_indexes_had_taken_in(tmp_path):
    with llmspell.open(tmp_path / "s", durability="process") as store:
        store.events.publish_many([{"type": "x.y", "data": n} for n in range(4200)])
    with llmspell.open(tmp_path / "s") as store:
        sql(store)("DELETE FROM entry WHERE seq > 4000")
        assert any(finding.where == "entry" for finding in store.verify().findings)


def test_verify_sees_time_that_runs_backwards(store):
    # Only somebody who recomputes every hash could do this; the order of times is a check of its own.
    sql(store)("UPDATE entry SET at = 5 WHERE seq = 5")
    assert any("older" in finding.what for finding in findings(store))


@pytest.mark.parametrize("change", [
    "DELETE FROM state", "UPDATE state SET version = 99", "DELETE FROM session", "UPDATE session SET until_seq = 1",
    "DELETE FROM artifact WHERE version = 2", "UPDATE scope SET name = 'agent:other' WHERE name != 'global'",
    "INSERT INTO correlation VALUES (zeroblob(16), 'x', NULL, 1)",
])  # fmt: skip
def test_verify_sees_tables_that_are_not_what_the_journal_makes_of_them(store, change):
    make_all_tables(store)
    sql(store)(change)
    assert not store.verify().ok


@pytest.mark.parametrize(("change", "what"), [
    ("DROP TABLE scope", "the table scope is missing"),
    ("DROP TABLE session", "the table session is missing"),
    ("ALTER TABLE session DROP COLUMN config", "the table session has other columns than it should"),
    ("ALTER TABLE checkpoint ADD COLUMN extra TEXT", "the table checkpoint has other columns than it should"),
    ("ALTER TABLE migration_run RENAME COLUMN id TO other", "the table migration_run has other columns than it should"),
])  # fmt: skip
def test_a_table_that_is_not_as_it_was_made_is_a_finding_and_not_the_end_of_verify(store, change, what):
    make_all_tables(store)
    assert store.verify().ok
    sql(store)(change)
    assert [finding.what for finding in store.verify().findings] == [what]


TEXTS = {
    "entry": ("kind", "actor"),
    "scope": ("name",),
    "state": ("key", "class", "value"),
    "session": ("name", "description", "status", "tags", "metadata", "config"),
    "artifact": ("name", "type", "mime_type", "description", "tags", "metadata", "derived_from"),
    "artifact_label": ("name", "label"),
    "checkpoint": ("label",),
    "correlation": ("name",),
}


@pytest.fixture
def full(store):
    """A store with rows in every table that has texts, and its lagging indexes filled."""
    session = store.sessions.open("s")
    session.artifacts.tag_version("f.txt", 1, "first")
    session.checkpoint("here")
    with store.correlate("thread"):
        store.state.set("k", 1)
    session.artifacts.put("large.bin", bytes(range(256)) * 500, compression="none")
    store._store._files.engine.commit((terms.step,))
    assert store.verify().ok
    return store


@pytest.mark.parametrize("table", sorted(TEXTS.keys() & later_tables().keys()))
def test_a_table_that_is_made_when_needed_is_missed_once_it_had_rows(full, table):
    sql(full)(f"DROP TABLE {table}")
    assert table in {finding.where for finding in full.verify().findings}


@pytest.mark.parametrize("table,column", [(table, column) for table, names in TEXTS.items() for column in names])
def test_a_text_that_is_no_utf_8_any_more_is_a_finding_and_not_the_end_of_verify(full, table, column):
    only = " WHERE seq = 5" if table == "entry" else ""
    sql(full)(f"UPDATE {table} SET {column} = CAST(x'ff' || CAST({column} AS BLOB) AS TEXT){only}")  # noqa: S608 - the table above
    report = full.verify()
    assert not report.ok
    assert table in {"scope", *(finding.where for finding in report.findings)}
    if table == "entry":
        assert 5 in {finding.seq for finding in report.findings}
        assert {finding.seq for finding in report.findings if finding.where == "entry"} <= {5, 6}


@pytest.mark.parametrize("change", [
    "DELETE FROM term WHERE seq = 5", "UPDATE term SET term = 'k:x' WHERE term LIKE 'r:%' AND seq = 5",
    "DELETE FROM watermark",
    "INSERT INTO term VALUES ('k:state.set', 1)", "UPDATE session_activity SET entries = entries + 1",
    "UPDATE session_activity SET last_at = 1", "DELETE FROM session_activity",
    "INSERT INTO session_activity VALUES (zeroblob(16), 1, 1)", "UPDATE watermark SET seq = seq - 1",
    "UPDATE meta SET value = 'x' WHERE name = 'store_id'", "UPDATE meta SET value = 'x' WHERE name = 'timeline'",
    "UPDATE blob SET stored_size = stored_size + 1 WHERE inline IS NULL",
    "UPDATE blob SET stored_size = stored_size + 1 WHERE inline IS NOT NULL",
])  # fmt: skip
def test_verify_sees_what_no_rebuild_makes_but_answers_rely_on(full, tmp_path, change):
    sql(full)(change)
    full.close()
    with llmspell.open(tmp_path / "s") as opened:
        assert not opened.verify().ok


def test_a_store_that_does_not_say_who_it_is_is_refused_by_name(store, tmp_path):
    sql(store)("UPDATE meta SET name = 'tineline' WHERE name = 'timeline'")
    store.close()
    with pytest.raises(llmspell.StorageFailed) as refused:
        llmspell.open(tmp_path / "s")
    assert refused.value.code == "store-damaged"


def test_reading_goes_on_around_a_damaged_entry(store):
    seq = next(entry.seq for entry in store.timeline(kinds=["event.published"]))
    sql(store)("UPDATE entry SET actor = 'x' WHERE seq = ?", (seq,))
    assert store.state_of(Scope.session(store.sessions.get("s").id)).get("a") == 4
    with pytest.raises(Corrupt):
        store.timeline()
    assert len(store.timeline(kinds=["artifact.stored"])) == 5


# -- kinds -------------------------------------------------------------------------------------------------------------


def test_a_kind_that_only_a_newer_version_knows_is_refused_by_name():
    kinds = Kinds(OWN)
    assert kinds.get("store.created", 1).name == "store.created"
    for name, version in (("from.future", 1), ("store.created", 2)):
        with pytest.raises(NeedsMigration, match=name):
            kinds.get(name, version)


def test_a_store_with_entries_of_a_newer_version_says_so_when_verified(store, monkeypatch):
    # As if a newer version had written them: this one does not know the kind.
    monkeypatch.delitem(store._store.journal.kinds._by_name, "event.published")
    report = store.verify()
    assert not report.ok
    assert any("event.published" in finding.what and "does not know" in finding.what for finding in report.findings)
