"""Queries of artifacts: what fits is found, whether it is indexed yet or not, and pages show one moment."""

import random

import apsw
import pytest

from llmspell.artifacts.finding.index import step, watermark_of
from llmspell.artifacts.finding.pages import plans
from llmspell.artifacts.finding.wanted import Conditions
from llmspell.errors import LlmspellError
from llmspell.model.page import read_cursor, write_cursor
from tests.rooms.conftest import sql

WORDS = ("bees", "dance", "Größe", "honey", "wax", "hive")


def code(call):
    with pytest.raises(LlmspellError) as refused:
        call()
    return refused.value.code


def index(face, store):
    """What the maintenance task does, until nothing is left."""
    engine = face.core(store)._files.engine
    while True:
        outcome = engine.commit((step,))[0]
        assert outcome.error is None
        if outcome.value < 250:
            return engine.read(watermark_of)


def names(page):
    return [info.name for info in page]


@pytest.fixture
def session(store):
    return store.sessions.create("s")


def fill(session, count=40, seed=1):
    rnd = random.Random(seed)
    for n in range(count):
        session.artifacts.put(
            f"{rnd.choice(('report', 'note', 'data'))}-{n:03}.{rnd.choice(('md', 'json'))}", b"x" * rnd.randrange(50),
            type=rnd.choice(("code", "data")), tags=rnd.sample(("a", "b", "c"), 2),
            description=" ".join(rnd.sample(WORDS, 3)), metadata={"n": rnd.randrange(4), "ok": rnd.random() < 0.5},
        )  # fmt: skip


CONDITIONS = (
    ({"type": "code"}, lambda i: i.type == "code"),
    ({"name": "report-*"}, lambda i: i.name.startswith("report-")),
    ({"name": "*.md"}, lambda i: i.name.endswith(".md")),
    ({"name": "note-00?.*"}, lambda i: i.name.startswith("note-00")),
    ({"name": "[!rn]*"}, lambda i: i.name[0] not in "rn"),
    ({"tags": ["a"]}, lambda i: "a" in i.tags),
    ({"tags": ["a", "c"]}, lambda i: {"a", "c"} <= set(i.tags)),
    ({"metadata": {"n": 2}}, lambda i: i.metadata["n"] == 2),
    ({"metadata": {"n": 2.0}}, lambda i: i.metadata["n"] == 2),
    ({"metadata": {"ok": True, "n": 1}}, lambda i: i.metadata["ok"] and i.metadata["n"] == 1),
    ({"metadata": {"ok": 1}}, lambda i: False),
    ({"metadata": {"ok": False}, "text": "bees"}, lambda i: not i.metadata["ok"] and "bees" in i.description),
    ({"min_size": 20, "max_size": 30}, lambda i: 20 <= i.size <= 30),
    ({"text": "bees"}, lambda i: "bees" in i.description),
    ({"text": "GROSSE dan*"}, lambda i: "Größe" in i.description and "dance" in i.description),
    ({"text": '"bees dance"'}, lambda i: "bees dance" in i.description),
    ({"text": "report md"}, lambda i: i.name.startswith("report") and i.name.endswith("md")),
    ({"text": "honey", "type": "data", "tags": ["b"]},
     lambda i: "honey" in i.description and i.type == "data" and "b" in i.tags),
)  # fmt: skip
ORDERS = {
    "created_at": lambda i: i.created_at, "updated_at": lambda i: i.updated_at,
    "name": lambda i: (i.name, i.created_at),
    "size": lambda i: (i.size, i.created_at),
}  # fmt: skip


@pytest.mark.parametrize("indexed", ["nothing", "some", "all"])
def test_every_condition_in_every_order_finds_what_a_look_at_each_artifact_finds(face, store, session, indexed):
    other = store.sessions.create("t")
    fill(session, 25)
    if indexed == "some":
        index(face, store)
    fill(other, 15, seed=2)
    session.artifacts.update(session.artifacts.list().items[3].id, description="bees dance anew", tags=["a", "c"])
    session.artifacts.delete(session.artifacts.list().items[5].id)
    if indexed == "all":
        index(face, store)
    everything = [*session.artifacts.list(all_versions=True), *other.artifacts.list(all_versions=True)]
    for conditions, fits in CONDITIONS:
        for order, key in ORDERS.items():
            for falling in (False, True):
                wanted = sorted(filter(fits, everything), key=key, reverse=falling)
                order_by = f"-{order}" if falling else order
                found, cursor = [], None
                while True:
                    page = store.artifacts.query(**conditions, order_by=order_by, limit=4, cursor=cursor)
                    found += page.items
                    cursor = page.next_cursor
                    if cursor is None:
                        break
                assert [one.id for one in found] == [one.id for one in wanted], (conditions, order_by)
                assert found == wanted
        assert store.artifacts.count(**conditions).number == len(list(filter(fits, everything)))
        mine = [one for one in everything if one.session == session.id and fits(one)]
        assert {one.id for one in session.artifacts.query(**conditions)} == {one.id for one in mine}
    assert store.verify().ok


@pytest.mark.parametrize("indexed", ["nothing", "some", "all"])
def test_an_exact_name_and_a_digest_find_each_artifact_once_in_every_order(face, store, session, indexed):
    other = store.sessions.create("t")
    for n in range(6):
        for one in (session, other):
            one.artifacts.put(f"n{n % 2}", b"same" if n % 3 else b"another", description=str(n))
    if indexed == "some":
        index(face, store)
    for info in session.artifacts.list(all_versions=True).items[::2]:
        for again in range(2):
            session.artifacts.update(info.id, description=f"again {again}")
    other.artifacts.delete(other.artifacts.list(all_versions=True).items[1].id)
    other.artifacts.rename("n1", "n0-not")
    session.artifacts.rename("n0", "n00")
    if indexed == "all":
        index(face, store)
    everything = [*session.artifacts.list(all_versions=True), *other.artifacts.list(all_versions=True)]
    digest = next(info.digest for info in everything if info.size == 4)
    for conditions in (
        {"name": "n0"}, {"name": "n00"}, {"name": "n1"}, {"digest": digest}, {"digest": digest, "name": "n0"},
    ):  # fmt: skip
        wanted = [one for one in everything if all(getattr(one, key) == value for key, value in conditions.items())]
        assert store.artifacts.count(**conditions).number == len(wanted) > 0
        for order, key in ORDERS.items():
            for falling in (False, True):
                order_by = f"-{order}" if falling else order
                found = paged(store, **conditions, order_by=order_by, limit=2)
                assert [key(one) for one in found] == sorted(map(key, wanted), reverse=falling), (conditions, order_by)
                assert {one.id for one in found} == {one.id for one in wanted}
    assert store.verify().ok
    index(face, store)
    assert store.verify().ok, "what was renamed is under its old name no longer"


@pytest.mark.parametrize("indexed", [False, True])
def test_pages_by_the_last_change_leave_out_none_of_what_changed_in_one_entry(face, store, session, indexed):
    for n in range(7):
        session.artifacts.put("a", bytes([n]))
    session.artifacts.rename("a", "b")
    if indexed:
        index(face, store)
    wanted = {info.id for info in session.artifacts.list(all_versions=True)}
    for order_by in ("updated_at", "-updated_at"):
        found = [info.id for info in paged(store, order_by=order_by, limit=2)]
        assert len(found) == len(wanted)
        assert set(found) == wanted


def paged(store, **asked):
    """The items of all pages."""
    found, cursor = [], None
    while True:
        page = store.artifacts.query(**asked, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_what_is_found_can_be_read_and_deleted(store, session):
    session.artifacts.put("a.md", "one", tags=["x"])
    (info,) = store.artifacts.query(tags=["x"])
    assert store.artifacts.get(info.id).text() == "one"
    assert store.artifacts.delete(info.id) == 1
    assert names(store.artifacts.query(tags=["x"])) == []


def test_times_sizes_sessions_and_digests_bound_what_is_found(face, store, session, clock):
    first = session.artifacts.put("a", b"1")
    clock.advance(60)
    second = session.artifacts.put("b", b"22")
    other = store.sessions.create("t").artifacts.put("c", b"1")
    for _ in face.both(store):
        pass
    store = face.open()
    query = store.artifacts.query
    assert names(query(created_after=second.created_at)) == ["c", "b"]
    assert names(query(created_before=first.created_at)) == ["a"]
    assert names(query(created_after=first.created_at.isoformat(), created_before=second.created_at)) == ["b", "a"]
    assert names(query(digest=first.digest)) == ["c", "a"]
    assert names(query(session=[first.session, other.session], max_size=1)) == ["c", "a"]
    assert names(query(session=other.session)) == ["c"]


@pytest.mark.parametrize("order_by", ["created_at", "-created_at", "-updated_at", "name", "-size"])
@pytest.mark.parametrize("indexed", [False, True])
def test_pages_show_what_there_was_at_the_first_one(face, store, session, order_by, indexed):
    for n in range(12):
        session.artifacts.put(f"{n:02}", b"x" * n, description=f"text {n}")
    if indexed:
        index(face, store)
    wanted = [info.id for info in store.artifacts.query(order_by=order_by)]
    page = store.artifacts.query(order_by=order_by, limit=4, text="text")
    found = [info.id for info in page]
    session.artifacts.delete("03")
    session.artifacts.update("07", description="changed", tags=["new"])
    session.artifacts.put("99", b"", description="text")
    session.artifacts.rename("05", "renamed")
    if indexed:
        index(face, store)
    while page.next_cursor is not None:
        page = store.artifacts.query(order_by=order_by, limit=4, text="text", cursor=page.next_cursor)
        found += [info.id for info in page]
    assert found == wanted


def test_misspelt_names_are_found_most_alike_first(face, store, session):
    for name in ("quarterly-report.md", "quarterly-reports-2025.md", "minutes.txt", "report.md"):
        session.artifacts.put(name, b"")
    for _ in range(2):
        assert names(store.artifacts.query(fuzzy="quartely-reprot.md"))[0] == "quarterly-report.md"
        assert "minutes.txt" not in names(store.artifacts.query(fuzzy="quartely-reprot.md"))
        assert names(store.artifacts.query(fuzzy="REPORT.MD", limit=1)) == ["report.md"]
        page = store.artifacts.query(fuzzy="report.md", limit=1)
        rest = store.artifacts.query(fuzzy="report.md", limit=5, cursor=page.next_cursor)
        assert names(rest) == ["quarterly-report.md", "quarterly-reports-2025.md"]
        index(face, store)


MISSPELT = {
    "Beriht": ["doc/Bericht.md", "Bericht.md"], "berihct.md": ["Bericht.md", "doc/Bericht.md"],
    "quartely": ["reports/2026/quarterly-summary.md"], "sumary": ["reports/2026/quarterly-summary.md"],
    "qXrly": [], "beXht": ["notes/becht.txt"], "gitigonre": ["home/.gitignore"], "reports": [], "2026": [],
    "doc/Beriht": ["doc/Bericht.md"], "straße": ["plan/STRASSE-1.png"],
    "resume": ["old/Résumé.pdf"], "rÉsmue": ["old/Résumé.pdf"], "hnoey": ["honey.json"], "wxa": ["wax"],
    "hoeny.json": ["honey.json"],
    "honyes": ["honey.json"], "ete": ["l-Été"],
}  # fmt: skip


@pytest.mark.parametrize("fuzzy", MISSPELT)
def test_a_part_of_a_name_is_found_misspelt_without_folders_and_suffix(face, store, session, fuzzy):
    """Also in the index, whose groups are those of whole names."""
    for name in sorted({name for found in MISSPELT.values() for name in found}):
        session.artifacts.put(name, b"")
    session.artifacts.put("unlike", b"")
    for _ in range(2):
        assert names(store.artifacts.query(fuzzy=fuzzy)) == MISSPELT[fuzzy]
        assert store.artifacts.count(fuzzy=fuzzy).number == len(MISSPELT[fuzzy])
        index(face, store)


def test_a_short_name_is_found_by_its_first_letters_changed_over_and_more_behind_them(face, store, session):
    for name in ("bo-", "old/wo-x"):
        session.artifacts.put(name, b"")
    for _ in range(2):
        assert names(store.artifacts.query(fuzzy="ob-be")) == ["bo-"]
        assert names(store.artifacts.query(fuzzy="ow-ab")) == ["old/wo-x"]
        index(face, store)


def test_patterns_mean_accents_that_the_index_does_not_keep(face, store, session):
    for name in ("old/Résumé.pdf", "Resume.pdf", "æon.md", "straße.md"):
        session.artifacts.put(name, b"")
    index(face, store)
    for pattern, wanted in {
        "*Résumé*": ["old/Résumé.pdf"], "*sumé*": ["old/Résumé.pdf"], "*esume*": ["Resume.pdf"], "*æon*": ["æon.md"],
        "*raße*": ["straße.md"], "*rasse*": [], "?é*": [],
    }.items():  # fmt: skip
        assert names(store.artifacts.query(name=pattern)) == wanted, pattern
    assert store.verify().ok


def test_of_names_alike_the_one_with_least_besides_comes_first(face, store, session):
    wanted = ["report", "old/report", "old/report.md", "old/report-final.md"]
    for name in wanted:
        session.artifacts.put(name, b"")
    for _ in range(2):
        assert names(store.artifacts.query(fuzzy="report")) == wanted
        index(face, store)


def test_a_count_above_a_thousand_says_so_unless_it_is_to_be_exact(store, session):
    session.artifacts.put_many([{"name": f"n{n}", "data": b""} for n in range(1100)])
    count = store.artifacts.count(type="data")
    assert (count.number, count.exact, str(count)) == (1000, False, "1000+")
    count = store.artifacts.count(type="data", exact=True)
    assert (count.number, str(count)) == (1100, "1100")
    assert code(lambda: store.artifacts.count(exact=1)) == "invalid-input"


BAD = (
    ({"limit": 0}, "invalid-limit"), ({"order_by": "colour"}, "invalid-order"), ({"order_by": 5}, "invalid-order"),
    ({"text": "  "}, "invalid-text-query"), ({"text": "!?"}, "invalid-text-query"), ({"text": 5}, "invalid-text-query"),
    ({"text": "a" * 1001}, "invalid-text-query"), ({"name": ""}, "invalid-name"), ({"name": "a\ud800"}, "invalid-text"),
    ({"digest": "12"}, "invalid-selection"), ({"metadata": dict.fromkeys(map(str, range(40)))}, "invalid-metadata"),
    ({"min_size": -1}, "invalid-selection"), ({"max_size": True}, "invalid-selection"),
    ({"created_after": "soon"}, "invalid-time"), ({"updated_before": 5}, "invalid-time"),
    ({"session": "nobody"}, "invalid-id"), ({"session": []}, "invalid-selection"), ({"cursor": "x"}, "invalid-cursor"),
    ({"fuzzy": "ab"}, "invalid-selection"), ({"tags": "a"}, "invalid-tags"), ({"type": 5}, "invalid-name"),
    ({"order_by": "likeness"}, "invalid-order"),
)  # fmt: skip


@pytest.mark.parametrize(("wanted", "expected"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_a_query_that_makes_no_sense_is_refused_by_name(store, wanted, expected):
    assert code(lambda: store.artifacts.query(**wanted)) == expected


def test_a_cursor_of_another_list_is_refused(store, session):
    fill(session, 5)
    cursor = store.artifacts.query(limit=1).next_cursor
    for other in ({"order_by": "size"}, {"type": "code"}, {"text": "bees"}, {"session": session.id}):
        assert code(lambda other=other: store.artifacts.query(limit=1, cursor=cursor, **other)) == "invalid-cursor"
    assert code(lambda: session.artifacts.query(limit=1, cursor=cursor)) == "invalid-cursor"
    assert store.artifacts.query(limit=1, cursor=cursor).items


def test_a_cursor_of_a_later_moment_is_refused(store, session):
    fill(session, 2)
    cursor = store.artifacts.query(limit=1).next_cursor
    purpose, order, mark, seq, *edge = read_cursor(cursor, "found", 5)
    later = write_cursor(purpose, order, mark, seq + 1000, *edge)
    assert code(lambda: store.artifacts.query(limit=1, cursor=later)) == "invalid-cursor"


FIELDS = (
    ({"user.id": 7}, "a"), ({"user": {"id": 7.0}}, "a"), ({"user.id": "7"}, ""), ({"kinds": "b"}, "a"),
    ({"kinds": ["b"]}, ""),
    ({"kinds": ["a", "b"]}, "a"), ({"deep.x": None}, "b"), ({"u.v": "x", "n": 1}, "b"), ({"n": True}, ""),
    ({"big": 1 << 70}, "b"), ({"l" * 300: 1}, "a"), ({"kinds": "b", "user.id": 7}, "a"), ({"n": 1.0}, "b"),
)  # fmt: skip


@pytest.mark.parametrize("indexed", [False, True])
def test_metadata_is_found_by_paths_as_that_of_sessions_is(face, store, indexed):
    first = {"user": {"id": 7}, "kinds": ["a", "b"], "l" * 300: 1}
    second = {"deep": [{"x": None}], "u": {"v": "x"}, "n": 1.0, "big": 1 << 70}
    for name, metadata in (("a", first), ("b", second)):
        store.sessions.create(name, metadata=metadata).artifacts.put(f"{name} it", b"", metadata=metadata)
    if indexed:
        index(face, store)
    for wanted, found in FIELDS:
        assert [name[0] for name in names(store.artifacts.query(metadata=wanted))] == list(found), wanted
        assert [name[0] for name in names(store.artifacts.query(metadata=wanted, text="it"))] == list(found), wanted
        assert names(store.sessions.list(metadata=wanted)) == list(found), wanted
        assert store.artifacts.count(metadata=wanted).number == len(found)
    if indexed:
        assert store.verify().ok
    assert store.artifacts.delete_matching(metadata={"user.id": 7}) == 1
    assert names(store.artifacts.query()) == ["b it"]


def test_the_last_change_bounds_what_is_found(face, store, session, clock):
    for name in "abc":
        session.artifacts.put(name, b"")
        clock.advance(60)
    changed = session.artifacts.update("a", tags=["new"])
    index(face, store)
    query, middle = store.artifacts.query, session.artifacts.get("b").info.updated_at
    assert names(query(updated_after=middle, order_by="updated_at")) == ["b", "c", "a"]
    assert names(query(updated_after=middle, updated_before=middle)) == ["b"]
    assert names(query(updated_after=changed.updated_at)) == ["a"]
    assert names(query(updated_before=middle, created_before="9999-12-31T00:00:00Z")) == ["b"]
    assert query(created_after="9999-12-31T00:00:00Z").items == []
    assert len(query(updated_after="0001-01-01").items) == 3


@pytest.mark.parametrize(
    "text", ['"', 'a" OR "b', "NEAR(a b)", "a AND NOT b", "words:x", "^a", "a*b", "{a}", "*", "-a"]
)
def test_what_means_something_to_the_engine_means_only_its_words(store, session, text):
    session.artifacts.put("f", b"", description="a b x near not words and or")
    if text in {'"', "*"}:
        assert code(lambda: store.artifacts.query(text=text)) == "invalid-text-query"
    else:
        store.artifacts.query(text=text)


def test_a_sessions_handle_queries_its_own_artifacts_and_no_others(store, session):
    other = store.sessions.create("t")
    other.artifacts.put("theirs", b"")
    session.artifacts.put("mine", b"")
    assert names(session.artifacts.query()) == ["mine"]
    assert code(lambda: session.artifacts.query(session=other.id)) == "invalid-selection"
    assert code(lambda: session.artifacts.count(session=[session.id, other.id])) == "invalid-selection"


def test_the_index_lags_without_anything_being_missed_and_is_verified(face, store, session):
    fill(session, 10)
    seq = index(face, store)
    assert seq == store.stats()["last_seq"]
    info = session.artifacts.update(session.artifacts.list().items[0].id, tags=["fresh"], description="unheard")
    session.artifacts.delete(session.artifacts.list().items[1].id)
    assert names(store.artifacts.query(text="unheard")) == [info.name]
    assert names(store.artifacts.query(tags=["fresh"])) == [info.name]
    for opened in face.both(store):
        assert opened.verify().ok
        index(face, opened)
        assert names(opened.artifacts.query(text="unheard")) == [info.name]
        assert opened.verify().ok


DAMAGE = {
    "found": "UPDATE artifact_found SET size = size + 1 WHERE number = (SELECT min(number) FROM artifact_found)",
    "gone": "DELETE FROM artifact_found WHERE number = (SELECT min(number) FROM artifact_found)",
    "name": "UPDATE artifact_named SET name = 'forged' WHERE number = (SELECT min(number) FROM artifact_found)",
    "more names": "INSERT INTO artifact_named VALUES ('of nobody', 999999)",
    "a second name": "INSERT INTO artifact_named SELECT 'forged', min(number) FROM artifact_found",
    "term": "DELETE FROM artifact_term WHERE number = (SELECT min(number) FROM artifact_found)",
    "more terms": "INSERT INTO artifact_term VALUES (5, 5)",
    "words": "DELETE FROM artifact_words WHERE rowid = (SELECT min(number) FROM artifact_found)",
    "forged words": "INSERT OR REPLACE INTO artifact_words (rowid, words)"
    " VALUES ((SELECT min(number) FROM artifact_found), 'forged words')",
    "more words": "INSERT INTO artifact_words (rowid, words) VALUES (999999, 'of nobody')",
    "grams": "DELETE FROM artifact_grams WHERE rowid = (SELECT min(number) FROM artifact_found)",
}


@pytest.mark.parametrize("damage", sorted(DAMAGE))
def test_damage_of_the_index_is_found(face, store, session, damage):
    fill(session, 5)
    index(face, store)
    sql(face, store)(DAMAGE[damage])
    findings = store.verify().findings
    assert findings
    tables = {"artifact_found", "artifact_named", "artifact_term", "artifact_words", "artifact_grams"}
    assert {one.where for one in findings} <= tables


@pytest.mark.parametrize(
    "damage",
    [
        (
            "INSERT INTO artifact_words (rowid, words) VALUES (9, 'x')",
            "DELETE FROM artifact_words_content WHERE id = 9",
        ),
        (
            "INSERT INTO artifact_grams (rowid, name) VALUES (9, 'xyz')",
            "DELETE FROM artifact_grams_content WHERE id = 9",
        ),
        ("UPDATE artifact_words_content SET c0 = c0 || ' more'",),
    ],
    ids=["words", "grams", "other words"],
)
def test_an_index_of_the_engine_that_does_not_fit_what_is_beside_it_is_found(face, store, session, damage):
    fill(session, 5)
    index(face, store)
    assert store.verify().ok
    face.core(store)._files.engine.writer.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    for statement in damage:
        sql(face, store)(statement)
    assert not store.verify().ok


def test_words_of_what_was_deleted_or_changed_are_gone_from_the_index(face, store, session):
    session.artifacts.put("a", b"", description="secretword")
    session.artifacts.put("b", b"", description="otherword")
    index(face, store)
    session.artifacts.update("a", description="plain")
    session.artifacts.delete("b")
    index(face, store)
    run = sql(face, store)
    run("CREATE VIRTUAL TABLE temp.held USING fts5vocab (main, artifact_words, row)")
    held = {row[0] for row in run("SELECT term FROM temp.held")}
    assert "plain" in held
    assert not held & {"secretword", "otherword"}


PLANS = (
    ({"updated_after": "2020-01-01"}, "-updated_at"),
    ({}, None), ({}, "updated_at"), ({}, "name"), ({}, "-size"), ({"tags": ["a"]}, None), ({"type": "code"}, "-size"),
    ({"text": "bees"}, None), ({"name": "*.md"}, None), ({"name": "report-0*"}, "name"), ({"digest": "0" * 64}, None),
    ({"metadata": {"n": 1}}, None), ({"min_size": 40}, None), ({"fuzzy": "reprot"}, None), ({"text": "b*"}, "name"),
    ({"session": "own"}, "name"),
)  # fmt: skip


@pytest.mark.parametrize(("conditions", "order_by"), PLANS, ids=[str(number) for number in range(len(PLANS))])
def test_no_query_walks_over_all_artifacts(face, store, session, conditions, order_by):
    fill(session, 30)
    index(face, store)
    session.artifacts.put("late", b"")
    if conditions.get("session"):
        conditions = {"session": session.id}
    wanted = Conditions(**conditions).checked(None)
    found = face.core(store)._files.engine.read(lambda view: plans(view, wanted, order_by))
    for lines in found:
        for line in lines:
            assert not line.startswith("SCAN a"), lines
            assert not (line.startswith("SCAN f") and "INDEX" not in line and order_by is not None), lines
    if order_by is not None and not {"text", "name", "type"} & conditions.keys():
        assert "USE TEMP B-TREE FOR ORDER BY" not in found[0], "the index gives them in order"


@pytest.mark.parametrize("conditions", [{"name": "a"}, {"digest": "0" * 64}, {"session": "own"}], ids=list)
def test_an_index_gives_what_is_exact_newest_first_without_sorting(face, store, session, conditions):
    fill(session, 30)
    index(face, store)
    if "session" in conditions:
        conditions = {"session": session.id}
    wanted = Conditions(**conditions).checked(None)
    (lines,) = face.core(store)._files.engine.read(lambda view: plans(view, wanted))
    assert not [line for line in lines if "TEMP B-TREE" in line or (line.startswith("SCAN") and "INDEX" not in line)]


def test_the_step_of_the_index_can_be_repeated_and_cut_anywhere(face, store, session):
    fill(session, 30)
    engine = face.core(store)._files.engine
    while engine.commit((lambda tx: step(tx, 3),))[0].value >= 3:
        assert store.verify().ok
    rows = list(sql(face, store)("SELECT * FROM artifact_found ORDER BY number"))
    assert len(rows) == 30


@pytest.mark.parametrize("others", [300, 1])
def test_names_that_are_more_alike_in_other_sessions_hide_none(face, store, session, others):
    session.artifacts.put("report-final.md", "mine", tags=["m"])
    other = store.sessions.create("other")
    other.artifacts.put_many([{"name": "reprot-final.md", "data": str(n), "tags": ["o"]} for n in range(others)])
    for _ in range(2):
        assert names(session.artifacts.query(fuzzy="reprot-final.md")) == ["report-final.md"]
        assert names(store.artifacts.query(fuzzy="reprot-final.md", tags=["m"])) == ["report-final.md"]
        assert names(store.artifacts.query(fuzzy="reprot-final.md", max_size=4, tags=["m"])) == ["report-final.md"]
        assert session.artifacts.count(fuzzy="reprot-final.md").number == 1
        assert store.artifacts.count(fuzzy="reprot-final.md").number == min(others + 1, 250)
        assert len(store.artifacts.query(fuzzy="reprot-final.md", limit=1000).items) == min(others + 1, 250)
        index(face, store)


def test_pages_of_names_alike_stay_while_others_come(face, store, session):
    session.artifacts.put_many([{"name": f"report-{n}.md", "data": "x"} for n in range(250)])
    index(face, store)
    whole = [info.id for info in store.artifacts.query(fuzzy="report.md", order_by="name", limit=1000)]
    page = store.artifacts.query(fuzzy="report.md", order_by="name", limit=100)
    session.artifacts.put_many([{"name": "report.md", "data": str(n)} for n in range(250)])
    index(face, store)
    rest = store.artifacts.query(fuzzy="report.md", order_by="name", limit=1000, cursor=page.next_cursor)
    assert [info.id for info in (*page, *rest)] == whole


@pytest.mark.parametrize("how", ["imported", "adopted"])
def test_what_is_older_than_its_entry_is_found_by_when_it_was_created(face, store, session, tmp_path, how):
    old = session.artifacts.put("old.md", "x", tags=["t"])
    face.clock.advance(10)
    before = store.sessions.create("later").info.created_at
    face.clock.advance(10)
    if how == "imported":
        store.sessions.export(session.id, tmp_path / "s.bundle")
        store.sessions.import_(tmp_path / "s.bundle", on_conflict="rename")
    else:
        store.sessions.fork(session.id).artifacts.update("old.md", tags=["t", "u"])
    for _ in range(2):
        for more in ({}, {"tags": ["t"]}, {"order_by": "size"}, {"order_by": "name"}):
            found = store.artifacts.query(created_before=before, **more)
            assert [info.created_at for info in found] == [old.created_at] * 2
        index(face, store)
