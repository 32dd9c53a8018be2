"""Relations of artifacts: said once, never in a circle, seen up and down, and kept when an end of them is deleted."""

from itertools import pairwise

import pytest

from llmspell.errors import Conflict, LlmspellError


def code(call):
    with pytest.raises(LlmspellError) as refused:
        call()
    return refused.value.code


@pytest.fixture
def session(store):
    return store.sessions.create("s")


@pytest.fixture
def put(session):
    return lambda name, **fields: session.artifacts.put(name, b"", **fields).id


def names(relatives):
    return [(one.name, one.distance) for one in relatives]


def test_ancestors_and_descendants_come_nearest_first_along_one_kind_or_all(face, store, session, put):
    raw = put("raw")
    clean = put("clean", derived_from=[raw])
    report = put("report", derived_from=[clean])
    part = put("part")
    assert store.artifacts.relate(part, "child_of", report)
    assert store.artifacts.relate(report, "depends_on", raw)
    for opened in face.both(store):
        room = opened.artifacts
        assert names(room.ancestors(report)) in ([("clean", 1), ("raw", 1)], [("raw", 1), ("clean", 1)])
        assert names(room.ancestors(report, kind="derived_from")) == [("clean", 1), ("raw", 2)]
        assert names(room.ancestors(report, kind="derived_from", depth=1)) == [("clean", 1)]
        assert names(room.descendants(raw, kind="derived_from")) == [("clean", 1), ("report", 2)]
        assert names(room.descendants(raw))[-1] == ("part", 2)
        assert names(room.descendants(report, kind="child")) == [("part", 1)]
        assert room.ancestors(raw) == []
        assert opened.verify().ok


def test_a_relation_is_said_once_and_from_either_side(store, session, put):
    one, two = put("one"), put("two")
    assert store.artifacts.relate(one, "parent", two)
    assert not store.artifacts.relate(two, "child", one)
    assert not store.artifacts.relate(two, "child_of", one)
    (relation,) = session.artifacts.relations("one")
    assert (relation.source, relation.kind, relation.target) == (two, "child_of", one)
    assert store.artifacts.unrelate(one, "parent_of", two)
    assert not store.artifacts.unrelate(one, "parent", two)
    assert session.artifacts.relations("one") == []
    kinds = [entry.kind for entry in store.timeline(kinds=["artifact.related", "artifact.unrelated"])]
    assert kinds == ["artifact.related", "artifact.unrelated"]


def test_no_relation_closes_a_circle_of_its_kind(store, put):
    ids = [put(f"n{n}") for n in range(5)]
    for one, other in pairwise(ids):
        store.artifacts.relate(one, "depends_on", other)
    before = store.stats()["last_seq"]
    assert code(lambda: store.artifacts.relate(ids[-1], "depends_on", ids[0])) == "relation-cycle"
    assert code(lambda: store.artifacts.relate(ids[2], "depends_on", ids[2])) == "relation-cycle"
    assert store.stats()["last_seq"] == before
    assert store.artifacts.relate(ids[-1], "version_of", ids[0]), "another kind is another graph"
    assert {one.name for one in store.artifacts.ancestors(ids[0])} == {"n1", "n2", "n3", "n4"}


def test_a_diamond_of_many_paths_is_walked_once(store, put):
    rows = [[put(f"{level}-{n}") for n in range(3)] for level in range(8)]
    for above, below in pairwise(rows):
        for one in below:
            for other in above:
                store.artifacts.relate(one, "depends_on", other)
    assert len(store.artifacts.ancestors(rows[-1][0])) == 3 * 7
    lineage = store.artifacts.lineage(rows[3][0], limit=4)
    assert lineage.truncated
    assert len(lineage.nodes) == 9


def test_what_a_put_says_stays(store, put):
    one = put("one")
    two = put("two", derived_from=[one])
    assert not store.artifacts.relate(two, "derived_from", one)
    assert code(lambda: store.artifacts.unrelate(two, "derived_from", one)) == "relation-of-put"


def test_the_lineage_of_what_is_deleted_stays_and_says_so(face, store, session, put):
    raw = put("raw")
    clean = put("clean", derived_from=[raw])
    session.artifacts.delete("raw")
    for opened in face.both(store):
        (above,) = opened.artifacts.ancestors(clean)
        assert (above.name, above.state) == ("raw", "deleted")
        assert code(lambda o=opened: o.artifacts.relate(clean, "depends_on", raw)) == "artifact-not-found"
    store = face.open()
    store.artifacts.undelete(raw)
    assert store.artifacts.ancestors(clean)[0].state == "present"


def test_a_lineage_is_a_table_json_and_a_graph(store, session, put):
    raw = put('odd "name"\\n'.replace("\\n", ""))
    clean = put("clean", derived_from=[raw])
    session.artifacts.delete(raw)
    lineage = store.artifacts.lineage(clean)
    assert [row["distance"] for row in lineage.to_rows()] == [-1, 0]
    assert lineage.to_rows()[1]["relations"] == ["derived_from"]
    assert lineage.to_dict()["edges"] == [{"source": clean, "kind": "derived_from", "target": raw}]
    dot = lineage.to_dot()
    assert f'"{raw}" -> "{clean}" [label="derived_from"];' in dot
    assert 'label="odd \\"name\\" v1 (deleted)"' in dot


def test_a_tree_is_deleted_whole_or_not_at_all(face, store, session, put):
    top, middle, leaf, beside = put("top"), put("middle"), put("leaf"), put("beside")
    store.artifacts.relate(middle, "child_of", top)
    store.artifacts.relate(leaf, "child_of", middle)
    store.artifacts.relate(beside, "depends_on", top)
    told = []

    def refuse(context):
        told.append(context.data["name"])
        from llmspell import Cancel

        return Cancel("no") if context.data["name"] == "leaf" and len(told) < 4 else None

    store.hooks.on("before_artifact_delete")(refuse)
    assert code(lambda: store.artifacts.delete_tree(top)) == "vetoed"
    assert [info.name for info in session.artifacts.list()] == ["beside", "leaf", "middle", "top"]
    assert store.artifacts.delete_tree(top, dry_run=True) == 3
    assert len(session.artifacts.list()) == 4
    assert store.artifacts.delete_tree(top) == 3
    assert [info.name for info in session.artifacts.list()] == ["beside"]
    for opened in face.both(store):
        assert opened.verify().ok


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("a", "likes", "b"), "invalid-relation"), (("a", 5, "b"), "invalid-relation"),
        (("a", "child_of", "nobody"), "artifact-not-found"), (("nobody", "child_of", "b"), "artifact-not-found"),
        (("a", "child_of", "01900000-0000-7000-8000-000000000000"), "artifact-not-found"),
    ],
)  # fmt: skip
def test_a_relation_that_cannot_be_is_refused_by_name(session, put, arguments, expected):
    put("a")
    put("b")
    assert code(lambda: session.artifacts.relate(*arguments)) == expected


@pytest.mark.parametrize("depth", [0, -1, "1", True])
def test_a_depth_is_a_number_of_steps(session, put, depth):
    put("a")
    assert code(lambda: session.artifacts.ancestors("a", depth=depth)) == "invalid-depth"


def test_a_cycle_is_told_in_words(store, session):
    first, second = (session.artifacts.put(name, b"").id for name in "ab")
    for kind, words in (
        ("derived_from", "is derived from"), ("child_of", "is a child of"), ("depends_on", "depends on"),
        ("version_of", "is a version of"),
    ):  # fmt: skip
        store.artifacts.relate(second, kind, first)
        with pytest.raises(Conflict) as refused:
            store.artifacts.relate(first, kind, second)
        assert f"{second} {words} {first}" in refused.value.message
