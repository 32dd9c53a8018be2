"""Queries by every field, by keyword and one after the other; counts; hostile texts; what is refused."""

from datetime import UTC, datetime, timedelta

import pytest

import llmspell
from llmspell import SessionQuery
from llmspell.errors import LlmspellError
from llmspell.model import limits
from tests.sessions.conftest import take_in_through


@pytest.fixture(params=["tail", "indexed"])
def filled(request, face, store, clock):
    """Five sessions, in the index or still above its watermark; and the times between them."""
    times, ids = [], []
    root = store.sessions.create("Root", created_by="ann")
    for n, fields in enumerate((
        {"tags": ["nlp", "field"], "created_by": "ann", "metadata": {"user": {"id": 7}, "kinds": ["a", "b"]}},
        {"tags": ["nlp"], "created_by": "bob", "description": "Straße to Zürich", "metadata": {"n": 1.5, "u.v": "x"}},
        {"tags": ["field"], "parent": root.id, "metadata": {"note": "foo-bar_baz", "deep": [{"x": None}]}},
        {"description": "東京タワー at night", "metadata": {"ok": True}, "parent": root.id},
    )):  # fmt: skip
        times.append(datetime.fromtimestamp(clock.now_ns() / 1e9, UTC) + timedelta(seconds=1))
        clock.advance(2)
        ids.append(store.sessions.create(f"Job {n}", **fields).id)
    clock.advance(2)
    store.sessions.open(ids[1]).complete()
    if request.param == "indexed":
        take_in_through(face, store)
    return store, root.id, ids, times


CASES = [
    ({"status": ["completed", "failed"]}, [1]), ({"status": ["active", "completed"], "tags": ["nlp"]}, [0, 1]),
    ({"status": ("suspended",)}, []), ({"status": ["active", "completed"], "text": "job", "name": "Job 1"}, [1]),
    ({"status": "completed"}, [1]), ({"status": "active", "tags": ["nlp"]}, [0]), ({"tags": ["nlp"]}, [0, 1]),
    ({"tags": ["nlp", "field"]}, [0]), ({"created_by": "bob"}, [1]), ({"created_by": "nobody"}, []),
    ({"name": "Job 3"}, [3]), ({"name": "Job"}, []),
    ({"metadata": {"user.id": 7}}, [0]), ({"metadata": {"user": {"id": 7.0}}}, [0]),
    ({"metadata": {"user.id": "7"}}, []),
    ({"metadata": {"kinds": "b"}}, [0]), ({"metadata": {"kinds": ["a", "b"]}}, [0]),
    ({"metadata": {"kinds": ["b"]}}, []),
    ({"metadata": {"u.v": "x", "n": 1.5}}, [1]), ({"metadata": {"ok": True}}, [3]), ({"metadata": {"ok": 1}}, []),
    ({"metadata": {"deep.x": None}}, [2]),
    ({"text": "job nlp"}, [0, 1]), ({"text": "NLP Job"}, [0, 1]), ({"text": "strasse"}, [1]), ({"text": "ZURICH"}, [1]),
    ({"text": "foo"}, [2]), ({"text": "baz foo"}, [2]), ({"text": "user 7"}, [0]), ({"text": "1.5"}, [1]),
    ({"text": '"bar baz"'}, [2]), ({"text": '"baz bar"'}, []), ({"text": "bar_baz"}, [2]), ({"text": "foo.baz"}, []),
    ({"text": "fo*"}, [2]), ({"text": '"foo ba"*'}, [2]), ({"text": "jo* nl*"}, [0, 1]),
    ({"text": "東京"}, [3]), ({"text": "京東"}, []), ({"text": "fo"}, []), ({"text": "true"}, []),
    ({"text": "job", "status": "active", "tags": ["field"], "metadata": {"note": "foo-bar_baz"}}, [2]),
]  # fmt: skip


@pytest.mark.parametrize("given,found", CASES, ids=str)
def test_each_condition_finds_what_has_it_in_both_forms(filled, face, given, found):
    store, _, ids, _ = filled
    wanted = [ids[n] for n in found]
    assert [info.id for info in store.sessions.list(**given, order_by="created_at")] == wanted
    query = SessionQuery().order_by("created_at")
    for name, value in given.items():
        match name:
            case "tags":
                query = query.with_tags(*value)
            case "metadata":
                for path, one in value.items():
                    query = query.with_metadata(path, one)
            case "text":
                query = query.text(value)
            case _:
                query = getattr(query, f"with_{name}")(value)
    page = query.execute(store)
    assert [info.id for info in page] == wanted
    assert str(store.sessions.count(**given)) == str(len(wanted))


@pytest.mark.parametrize("order, wanted", [
    ("name", [0, 1, 2, 3, None]), ("-name", [None, 3, 2, 1, 0]), ("last_activity", [None, 1, 2, 3, 0]),
    ("-last_activity", [0, 3, 2, 1, None]), ("ended_at", [None, 0, 2, 3, 1]), ("-ended_at", [1, 3, 2, 0, None]),
])  # fmt: skip
def test_each_order_gives_its_order_page_by_page_also_of_what_is_equal(filled, clock, order, wanted):
    store, root, ids, _ = filled
    clock.advance(1)
    for one in (ids[1], ids[2], ids[3], ids[0]):
        store.sessions.open(one).state.set("k", 1)
    pages, cursor = [], None
    while not pages or cursor:
        page = store.sessions.list(order_by=order, limit=2, cursor=cursor)
        store.sessions.open(root).state.set("meanwhile", len(pages))
        pages.append([info.id for info in page])
        cursor = page.next_cursor
    assert [one for page in pages for one in page] == [root if n is None else ids[n] for n in wanted]


def test_times_bound_what_is_found_and_are_included_themselves(filled):
    store, root, ids, times = filled

    def found(query):
        return {info.id for info in query.execute(store)}

    assert found(SessionQuery().created_after(times[2])) == set(ids[2:])
    assert found(SessionQuery().created_before(times[1].isoformat())) == {root, ids[0]}
    assert found(SessionQuery().created_after(times[1]).created_before(times[2])) == {ids[1]}
    assert found(SessionQuery().updated_after(times[3])) == {ids[1], ids[3]}
    assert found(SessionQuery().updated_before(times[2])) == {root, ids[0]}
    info, tick = store.sessions.get(ids[1]), timedelta(microseconds=1)
    for query in (
        SessionQuery().created_after(info.created_at), SessionQuery().created_before(info.created_at),
        SessionQuery().updated_after(info.updated_at), SessionQuery().updated_before(info.updated_at),
    ):  # fmt: skip
        assert ids[1] in found(query)
    assert ids[1] not in found(SessionQuery().created_after(info.created_at + tick))
    assert ids[1] not in found(SessionQuery().created_before(info.created_at - tick))
    assert ids[1] not in found(SessionQuery().updated_after(info.updated_at + tick))
    assert ids[1] not in found(SessionQuery().updated_before(info.updated_at - tick))
    ended = store.sessions.get(ids[1]).ended_at
    for query in (SessionQuery().ended_after(ended), SessionQuery().ended_before(ended)):
        assert found(query) == {ids[1]}
    assert found(SessionQuery().ended_after(ended + tick)) == found(SessionQuery().ended_before(ended - tick)) == set()
    ever = SessionQuery().created_after("0001-01-01T00:00:00Z").created_before("9999-12-31T00:00:00Z")
    assert found(ever) == {root, *ids}


def test_a_query_is_a_value_that_its_methods_leave_alone():
    first = SessionQuery().with_tags("a").with_metadata("x", 1)
    second = first.with_tags(["b", "c"]).with_metadata("y", 2).limit(3).with_status("active")
    assert first.filters == {"tags": ["a"], "metadata": {"x": 1}}
    assert second.filters == {"tags": ["a", "b", "c"], "metadata": {"x": 1, "y": 2}, "status": ["active"]}
    assert second.with_status("failed").filters["status"] == ["active", "failed"]
    assert (first.size, second.size) == (50, 3)
    assert first == SessionQuery().with_tag("a").with_metadata("x", 1)


def test_a_query_pages_by_its_cursor(filled):
    store, _, ids, _ = filled
    query = SessionQuery().with_tags("nlp").order_by("-created_at").limit(1)
    page = query.execute(store)
    assert [info.id for info in page] == [ids[1]]
    assert [info.id for info in query.execute(store, cursor=page.next_cursor)] == [ids[0]]
    assert str(query.count(store)) == "2"


HOSTILE = [
    'NEAR(job "field', '"job" AND', "job* ^job", "name:job", "{job words} : job", "job OR job", "-job", "job\0job",
    "(job", "job)", "'; DROP TABLE session; --job", "job" + "\u0301" * 50, "job \ud800", "job + + job",
    'job""', "ｊｏｂ",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_whatever_stands_between_words_is_no_syntax(filled, text):
    store, _, ids, _ = filled
    found = {info.id for info in store.sessions.list(text=text)}
    extra = {'NEAR(job "field': set(), '"job" AND': set(), "name:job": set(), "job OR job": set(),
             "{job words} : job": set(), "job\0job": set(), "'; DROP TABLE session; --job": set()}  # fmt: skip
    assert found == extra.get(text, set(ids))


@pytest.mark.parametrize("text", ["", "***", "a" * (limits.SEARCH_CHARS_MAX + 1), 5], ids=lambda text: ascii(text)[:20])
def test_a_text_without_words_or_too_long_is_refused_by_name(store, text):
    for ask in (store.sessions.list, store.sessions.count):
        with pytest.raises(llmspell.InvalidInput) as refused:
            ask(text=text)
        assert refused.value.code == "invalid-text-query"


def test_hundreds_of_different_words_are_asked_for_without_an_error(store):
    store.sessions.create("x")
    text = " ".join(chr(0x100 + n) for n in range(490))
    assert store.sessions.list(text=text).items == []


def test_words_longer_than_any_are_told_apart_by_their_beginning(store):
    store.sessions.create("x", description="a" * 9000)
    assert len(store.sessions.list(text="a" * 100)) == 1
    assert len(store.sessions.list(text="a" * 63)) == 0


@pytest.mark.parametrize("given,code", [
    ({"status": "asleep"}, "invalid-status"), ({"status": ["active", "asleep"]}, "invalid-status"),
    ({"status": 5}, "invalid-status"), ({"ended_after": 5}, "invalid-time"), ({"tags": "nlp"}, "invalid-tags"),
    ({"metadata": [1]}, "invalid-metadata"),
    ({"metadata": {"x": {1, 2}}}, "invalid-value"), ({"metadata": {str(n): n for n in range(40)}}, "invalid-metadata"),
    ({"parent": 5}, "invalid-id"), ({"created_after": "yesterday"}, "invalid-time"),
    ({"updated_before": 5}, "invalid-time"),
    ({"order_by": "size"}, "invalid-order"), ({"limit": 0}, "invalid-limit"), ({"cursor": "x"}, "invalid-cursor"),
])  # fmt: skip
def test_a_condition_that_is_none_is_refused_by_its_code(store, given, code):
    with pytest.raises(LlmspellError) as refused:
        store.sessions.list(**given)
    assert refused.value.code == code
    if not given.keys() & {"order_by", "limit", "cursor"}:
        with pytest.raises(LlmspellError) as refused:
            SessionQuery(given).execute(store)
        assert refused.value.code == code


def test_a_count_stops_at_its_bound_unless_it_is_to_be_exact(store, monkeypatch):
    monkeypatch.setattr(limits, "COUNT_MAX", 3)
    monkeypatch.setattr(limits, "PAGE_ROWS_MAX", 2)
    for n in range(5):
        store.sessions.create(f"s{n}", tags=["odd"] if n % 2 else ["even"])
    assert store.sessions.count().to_dict() == {"number": 3, "exact": False, "text": "3+"}
    assert int(store.sessions.count(exact=True)) == 5
    assert store.sessions.count(tags=["even"]).to_dict() == {"number": 3, "exact": True, "text": "3"}
    assert str(store.sessions.count(tags=["even"], exact=True)) == "3"
    assert str(store.sessions.count(tags=["odd"])) == "2"
    for wrong in ({"exact": 1}, {"limit": 3}, {"colour": "red"}):
        with pytest.raises(llmspell.InvalidInput):
            store.sessions.count(**wrong)


def test_recent_gives_the_newest_changes_first(store):
    ids = [store.sessions.create(f"s{n}").id for n in range(4)]
    store.sessions.open(ids[0]).save()
    assert [info.id for info in store.sessions.recent(2)] == [ids[0], ids[3]]
    assert len(store.sessions.recent()) == 4
    with pytest.raises(llmspell.InvalidInput):
        store.sessions.recent(0)


def test_large_metadata_is_searched_like_any_other(face, store):
    wide = {f"k{n}": n for n in range(400)}
    long = {"note": "x" * 20_000, "user": "u-1"}
    ids = [store.sessions.create("wide", metadata=wide).id, store.sessions.create("long", metadata=long).id]
    small = store.sessions.create("small", metadata={"k399": 399, "user": "u-1"}).id
    for again in (False, True):
        if again:
            take_in_through(face, store)
        found = store.sessions.list(metadata={"k399": 399}, order_by="created_at")
        assert [info.id for info in found] == [ids[0], small]
        found = store.sessions.list(metadata={"user": "u-1"}, order_by="created_at")
        assert [info.id for info in found] == [ids[1], small]


def test_a_session_of_a_bundle_is_found_by_when_it_was_changed_where_it_was(face, store, clock, tmp_path):
    session = store.sessions.create("old", tags=["t"])
    clock.advance(10)
    middle = store.sessions.create("later").info.updated_at
    clock.advance(10)
    store.sessions.export(session.id, tmp_path / "s.bundle")
    store.sessions.delete(session.id)
    store.sessions.import_(tmp_path / "s.bundle")
    for _ in range(2):
        for more in ({}, {"tags": ["t"]}, {"order_by": "created_at"}):
            expected = ["old"] if more.get("tags") else ["later", "old"]
            assert sorted(one.name for one in store.sessions.list(updated_before=middle, **more)) == expected
            assert [one.name for one in store.sessions.list(updated_after=middle, **more)] == expected[:-1]
        take_in_through(face, store)
