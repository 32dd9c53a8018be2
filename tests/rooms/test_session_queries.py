"""Sessions are found by every field, by keywords and by sentences alike, in pages that stay right, and as a tree."""

import pytest

import llmspell
from llmspell import SessionQuery
from llmspell.errors import InvalidInput, NotFound

NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def found(face, store):
    create = store.sessions.create
    made = {}
    for number, fields in enumerate([
        {"tags": ["a"], "created_by": "user:x", "metadata": {"n": 1, "on": True, "who": "u"}},
        {"tags": ["a", "b"], "metadata": {"n": 1.0, "on": 1, "path": {"deep": [1]}, "none": None}},
        {"tags": ["b"], "created_by": "user:x", "metadata": {"n": 2, 'we"ird\\k.e[y]': "'; DROP TABLE session; --"}},
    ]):  # fmt: skip
        made[number] = create(f"s{number}", **fields)
        face.clock.advance(seconds=60)
    made[1].complete()
    return made


WANTED = [
    ({"tags": ["a"]}, {0, 1}), ({"tags": ["a", "b"]}, {1}), ({"created_by": "user:x"}, {0, 2}), ({"name": "s1"}, {1}),
    ({"status": "completed"}, {1}), ({"metadata": {"n": 1}}, {0, 1}), ({"metadata": {"n": 1.0}}, {0, 1}),
    ({"metadata": {"on": True}}, {0}), ({"metadata": {"on": 1}}, {1}), ({"metadata": {"path": {"deep": [1]}}}, {1}),
    ({"metadata": {"none": None}}, {1}), ({"metadata": {"missing": None}}, set()),
    ({"metadata": {"who": "u", "n": 1}}, {0}),
    ({"metadata": {'we"ird\\k.e[y]': "'; DROP TABLE session; --"}}, {2}), ({"status": "failed"}, set()),
]  # fmt: skip


@pytest.mark.parametrize("filters,numbers", WANTED)
def test_conditions_find_exactly_what_they_say_and_sentences_the_same(face, store, found, filters, numbers):
    names = {f"s{number}" for number in numbers}
    for opened in face.both(store):
        assert {info.name for info in opened.sessions.list(**filters)} == names
        assert opened.sessions.count(**filters).number == len(names)
        assert {info.name for info in SessionQuery(filters).execute(opened)} == names


def test_sentences_build_the_same_question(face, store, found):
    query = (
        SessionQuery().with_status("active").with_tag("a").with_metadata("n", 1).with_metadata("on", True)
        .with_created_by("user:x").created_after("2000-01-01").updated_before("2999-01-01").order_by("created_at")
        .limit(5)
    )  # fmt: skip
    assert query.filters == {
        "status": ["active"], "tags": ["a"], "metadata": {"n": 1, "on": True}, "created_by": "user:x",
        "created_after": "2000-01-01", "updated_before": "2999-01-01",
    }  # fmt: skip
    with llmspell.open(":memory:") as other:
        other.sessions.create("it", tags=["a"], created_by="user:x", metadata={"n": 1, "on": True})
        other.sessions.create("not it", tags=["a"], metadata={"n": 1, "on": True})
        assert [info.name for info in query.execute(other)] == ["it"]
        assert int(query.count(other)) == 1


def test_times_are_inclusive(store, found):
    first, last = store.sessions.get("s0"), store.sessions.get("s2")
    names = [info.name for info in store.sessions.list(created_before=last.created_at, order_by="created_at")]
    assert names == ["s0", "s1", "s2"]
    assert [info.name for info in store.sessions.list(created_after=last.created_at)] == ["s2"]
    assert [info.name for info in store.sessions.list(updated_before=first.updated_at)] == ["s0"]
    assert store.sessions.count(updated_after=store.sessions.get("s1").updated_at).number == 1


def test_a_page_goes_on_among_what_was_although_sessions_change(store):
    made = [store.sessions.create(f"s{number:02}", metadata={"n": number % 2}) for number in range(20)]
    page = store.sessions.list(metadata={"n": 0}, order_by="created_at", limit=3)
    seen = [info.name for info in page]
    made[4].update(metadata={"n": 1})
    made[5].update(metadata={"n": 0})
    made[8].complete()
    store.sessions.delete(made[10].id)
    store.sessions.create("late", metadata={"n": 0})
    while page.next_cursor:
        page = store.sessions.list(metadata={"n": 0}, order_by="created_at", limit=3, cursor=page.next_cursor)
        seen += [info.name for info in page]
    assert seen == [f"s{number:02}" for number in range(0, 20, 2)]


def test_counts_above_a_thousand_say_more_unless_they_are_to_be_exact(store):
    for number in range(1003):
        store.sessions.create(f"s{number}")
    assert str(store.sessions.count()) == "1000+"
    assert (store.sessions.count(exact=True).number, str(store.sessions.count(name="s7"))) == (1003, "1")


def test_a_tree_is_drawn_and_walked(face, store):
    root = store.sessions.create("root")
    left, right = (store.sessions.create(name, parent=root.id) for name in ("left", "right"))
    leaf = store.sessions.create("leaf", parent=left.id)
    store.sessions.create("elsewhere")
    for opened in face.both(store):
        sessions = opened.sessions
        assert [info.name for info in sessions.children(root.id)] == ["left", "right"]
        assert [info.name for info in sessions.parents(leaf.id)] == ["left", "root"]
        assert [info.name for info in sessions.recent(2)] == ["elsewhere", "leaf"]
        tree = sessions.tree(root.id)
        assert len(tree) == 4
        assert tree.to_dict()["children"][0]["children"][0]["name"] == "leaf"
        assert tree.picture().splitlines() == [
            f"root  [active]  {root.id}", f"├─ left  [active]  {left.id}", f"│  └─ leaf  [active]  {leaf.id}",
            f"└─ right  [active]  {right.id}",
        ]  # fmt: skip
        assert sessions.children(leaf.id) == sessions.parents(root.id) == []
        for call in (sessions.tree, sessions.children, sessions.parents):
            with pytest.raises(NotFound):
                call(NOBODY)


@pytest.mark.parametrize("filters", [
    {"status": "gone"}, {"tags": "a"}, {"created_after": "soon"}, {"created_before": 5}, {"metadata": [1]},
    {"metadata": {"x": {1}}}, {"metadata": {1: 1}}, {"parent": ""}, {"name": ""},
    {"metadata": {"x": float("nan")}}, {"metadata": {str(n): n for n in range(300)}},
])  # fmt: skip
def test_what_makes_no_sense_is_refused_by_both_ways_of_asking(store, filters):
    with pytest.raises((InvalidInput, llmspell.LimitExceeded)):
        store.sessions.list(**filters)
    with pytest.raises((InvalidInput, llmspell.LimitExceeded)):
        store.sessions.count(**filters)
    with pytest.raises((InvalidInput, llmspell.LimitExceeded)):
        SessionQuery()._with(**filters)


def test_a_filter_that_there_is_not_is_named(store):
    with pytest.raises(InvalidInput) as error:
        store.sessions.count(color="red")
    assert error.value.code == "invalid-filter"


def test_a_number_of_any_length_is_found(store):
    store.sessions.create("s", metadata={"x": 1 << 70})
    assert store.sessions.count(metadata={"x": 1 << 70}).number == 1
    assert store.sessions.count(metadata={"x": (1 << 70) + 1}).number == 0
