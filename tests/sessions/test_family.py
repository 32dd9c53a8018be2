"""Parents, children, trees and their pictures."""

import pytest

import llmspell


@pytest.fixture
def family(store):
    """root > (a > (c > d), b)."""
    made = {}
    for name, above in (("root", None), ("a", "root"), ("b", "root"), ("c", "a"), ("d", "c")):
        made[name] = store.sessions.create(name, parent=above and made[above]).id
    return store, made


def test_children_are_those_directly_below_the_oldest_first(family):
    store, made = family
    assert [info.name for info in store.sessions.children(made["root"])] == ["a", "b"]
    assert [info.name for info in store.sessions.children("c")] == ["d"]
    assert store.sessions.children("d") == []


def test_children_are_read_a_page_at_a_time(family, monkeypatch):
    store, _ = family
    monkeypatch.setattr("llmspell.model.limits.PAGE_ROWS_MAX", 1)
    assert [info.name for info in store.sessions.children("root")] == ["a", "b"]


def test_parents_lead_to_the_top_and_end_where_one_is_gone(family):
    store, made = family
    assert [info.name for info in store.sessions.parents("d")] == ["c", "a", "root"]
    assert store.sessions.parents("root") == []
    store.sessions.delete(made["a"])
    assert [info.name for info in store.sessions.parents("d")] == ["c"]


def test_a_tree_holds_all_below_and_is_drawn(family):
    store, made = family
    store.sessions.open(made["b"]).complete()
    tree = store.sessions.tree("root")
    assert [info.name for info in tree] == ["root", "a", "c", "d", "b"]
    assert len(tree) == 5
    assert tree.picture() == "\n".join((
        f"root  [active]  {made['root']}", f"├─ a  [active]  {made['a']}", f"│  └─ c  [active]  {made['c']}",
        f"│     └─ d  [active]  {made['d']}", f"└─ b  [completed]  {made['b']}",
    ))  # fmt: skip
    shown = tree.to_dict()
    assert shown["name"] == "root"
    assert shown["children"][0]["children"][0]["children"][0]["name"] == "d"
    assert not shown["cut"]


def test_a_tree_that_is_cut_says_where(family):
    store, _ = family
    tree = store.sessions.tree("root", limit=3)
    assert [info.name for info in tree] == ["root", "a", "b"]
    assert [line.split("  [")[0] for line in tree.picture().splitlines()] == ["root", "├─ a", "│  └─ …", "└─ b"]
    flat = store.sessions.tree("root", depth=1)
    assert [info.name for info in flat] == ["root", "a", "b"]
    assert [(one.cut, one.more) for one in (flat, *flat.children)] == [(True, False), (True, True), (False, False)]
    alone = store.sessions.tree("root", limit=1)
    assert (alone.cut, alone.children) == (True, [])
    assert store.sessions.tree("d", depth=0).cut is False


def test_a_tree_that_is_cut_deep_below_says_so_at_the_top(store):
    top = above = store.sessions.create("top").id
    for number in range(9):
        above = store.sessions.create(f"n{number}", parent=above).id
    for bounds in ({"depth": 3}, {"limit": 5}):
        tree = store.sessions.tree(top, **bounds)
        assert (tree.cut, tree.more, tree.to_dict()["cut"], tree.to_dict()["more"]) == (True, False, True, False)
        assert tree.picture().count("…") == 1
    assert store.sessions.tree(top).cut is False


def test_a_deep_chain_is_a_tree_like_any_other(store):
    above = store.sessions.create("top").id
    first = above
    for n in range(1100):
        above = store.sessions.create(f"n{n}", parent=above).id
    tree = store.sessions.tree(first, limit=2000)
    assert len(tree) == 1101
    assert len(tree.picture().splitlines()) == 1101
    parents = store.sessions.parents(above)
    assert (len(parents), parents[-1].id) == (1100, first), "to the top, however far it is"
    depth, shown = 0, tree.to_dict()
    while shown["children"]:
        depth, shown = depth + 1, shown["children"][0]
    assert depth == 1100


def test_a_picture_shows_no_control_characters(store):
    session = store.sessions.create("evil\u202ename\u2028line" + "x" * 100)
    picture = store.sessions.tree(session.id).picture()
    assert len(picture.splitlines()) == 1
    assert "\u202e" not in picture


@pytest.mark.parametrize("ask", ["children", "parents", "tree"])
def test_a_session_that_is_not_there_has_no_family(store, ask):
    with pytest.raises(llmspell.NotFound) as refused:
        getattr(store.sessions, ask)("nobody")
    assert refused.value.code == "session-not-found"


@pytest.mark.parametrize("bounds", [{"limit": 0}, {"depth": -1}, {"depth": True}, {"limit": 10**9}])
def test_bounds_of_a_tree_are_checked(store, bounds):
    session = store.sessions.create("s").id
    with pytest.raises(llmspell.InvalidInput):
        store.sessions.tree(session, **bounds)
