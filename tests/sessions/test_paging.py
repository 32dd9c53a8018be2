"""Any query gives the same wherever the index stands, and its pages stay right while sessions change between them."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import llmspell
from llmspell.model.clock import ManualClock
from llmspell.model.ids import id_text
from llmspell.model.page import read_cursor, write_cursor
from llmspell.sessions.listing import Place, explain
from llmspell.sessions.query import session_filter
from tests.sessions.conftest import read, take_in

TAGS = ["a", "b"]
NAMES = ["red fox", "Bee", "fox hunt"]
TEXTS = ["", "the quick fox", "Café 東京タワー", "bee-line"]
METADATA = [{}, {"n": 1}, {"n": 2.0, "u": {"id": "x"}}, {"u": {"id": ["x", "y"]}, "note": "fox"}, {"n": True}]

FIELDS = st.fixed_dictionaries({
    "name": st.sampled_from(NAMES), "tags": st.lists(st.sampled_from(TAGS), unique=True),
    "description": st.sampled_from(TEXTS), "metadata": st.sampled_from(METADATA),
})  # fmt: skip
STEP = st.one_of(
    st.tuples(st.just("create"), FIELDS, st.sampled_from([None, "ann", "bob"]), st.booleans()),
    st.tuples(st.just("update"), st.integers(0, 9), FIELDS),
    st.tuples(st.just("complete"), st.integers(0, 9)),
    st.tuples(st.just("save"), st.integers(0, 9)),
    st.tuples(st.just("set"), st.integers(0, 9)),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("index"), st.integers(1, 5)),
    st.tuples(st.just("wait"), st.integers(1, 3)),
)
CONDITIONS = st.fixed_dictionaries({}, optional={
    "status": st.sampled_from(["active", "completed", ["completed", "active"], ["suspended", "completed"]]),
    "tags": st.lists(st.sampled_from(TAGS), max_size=2),
    "created_by": st.sampled_from(["ann", "bob"]), "name": st.sampled_from(NAMES), "parent": st.just("first"),
    "metadata": st.sampled_from([
        {"n": 1}, {"n": 2}, {"n": True}, {"u.id": "x"}, {"u.id": ["x", "y"]}, {"u": {"id": "x"}},
    ]),
    "text": st.sampled_from(["fox", "FOX red", "cafe", "東京", "京東", "bee", "x", "nothing"]),
    "created_after": st.integers(0, 8), "created_before": st.integers(0, 8),
    "updated_after": st.integers(0, 8), "updated_before": st.integers(0, 8),
    "ended_after": st.integers(0, 8), "ended_before": st.integers(0, 8),
})  # fmt: skip
INDEXED = ["updated_at", "-updated_at", "created_at", "-created_at", "name", "-name"]
ORDERS = [*INDEXED, "ended_at", "-ended_at", "last_activity", "-last_activity"]


class World:
    """A store in memory, its sessions in the order they were made, and a clock that only moves when told."""

    def __init__(self):
        self.clock = ManualClock()
        self.start = self.clock.now_ns()
        self.store = llmspell.open(":memory:", clock=self.clock)
        self.made = []

    def do(self, step):
        match step:
            case "create", fields, created_by, below:
                parent = self.made[0] if below and self.made and self.alive(self.made[0]) else None
                self.made.append(self.store.sessions.create(**fields, created_by=created_by, parent=parent).id)
            case "index", rows:
                take_in(self.store, rows)
            case "wait", seconds:
                self.clock.advance(seconds)
            case verb, number, *fields:
                self.change(verb, number, *fields)

    def change(self, verb, number, fields=None):
        session = self.made[number] if number < len(self.made) else None
        if session is None or not self.alive(session):
            return
        handle = self.store.sessions.open(session)
        if verb == "delete":
            self.store.sessions.delete(session)
        elif verb == "update":
            handle.update(**fields)
        elif verb == "set":
            handle.state.set("k", 1)
        elif verb == "save" or handle.info.status == "active":
            getattr(handle, verb)()

    def alive(self, session):
        return session in {info.id for info in self.store.sessions.list(limit=1000)}

    def asked(self, conditions):
        given = dict(conditions)
        if "parent" in given:
            given["parent"] = self.made[0] if self.made else "0" * 32
        for name in [name for name in given if name.endswith(("_after", "_before"))]:
            given[name] = self.time(given[name])
        return given

    def time(self, seconds):
        return llmspell.model.clock.to_datetime(self.start + seconds * 1_000_000_000)


def words(info):
    def texts(value):
        if isinstance(value, dict):
            return [*value, *(text for inner in value.values() for text in texts(inner))]
        if isinstance(value, list):
            return [text for inner in value for text in texts(inner)]
        return [] if isinstance(value, bool) else [str(value)]

    plain = " ".join([info.name, info.description, *info.tags, *texts(info.metadata)])
    return re.sub("[-.]", " ", plain.lower().replace("é", "e"))


def has_words(info, text):
    found = words(info)
    return all(word in found.split() or (not word.isascii() and word in found) for word in text.lower().split())


def value_at(metadata, path):
    values = [metadata]
    for name in path.split("."):
        inside = [inner for value in values for inner in (value if isinstance(value, list) else [value])]
        values = [value[name] for value in inside if isinstance(value, dict) and name in value]
    return [*values, *(inner for value in values if isinstance(value, list) for inner in value)]


def same(one, other):
    return one == other and isinstance(one, bool) == isinstance(other, bool)


TESTS = {
    "status": lambda info, wanted: info.status in ([wanted] if isinstance(wanted, str) else wanted),
    "tags": lambda info, wanted: set(wanted) <= set(info.tags),
    "created_by": lambda info, wanted: info.created_by == wanted,
    "name": lambda info, wanted: info.name == wanted,
    "parent": lambda info, wanted: info.parent == wanted,
    "metadata": lambda info, wanted: all(
        any(same(value, found) for found in value_at(info.metadata, path)) for path, value in wanted.items()
    ),
    "text": has_words,
    "created_after": lambda info, wanted: info.created_at >= wanted,
    "created_before": lambda info, wanted: info.created_at <= wanted,
    "updated_after": lambda info, wanted: info.updated_at >= wanted,
    "updated_before": lambda info, wanted: info.updated_at <= wanted,
    "ended_after": lambda info, wanted: info.ended_at is not None and info.ended_at >= wanted,
    "ended_before": lambda info, wanted: info.ended_at is not None and info.ended_at <= wanted,
}


def expected(everything, given, order, active):
    """``active``: the seq of what was written last in each session."""
    found = [info for info in everything if all(TESTS[name](info, wanted) for name, wanted in given.items())]
    if order.endswith("created_at"):
        found.sort(key=lambda info: info.created_at)  # Sessions of one moment stay in the order of their last change.
    elif order.endswith("name"):
        found.sort(key=lambda info: (info.name, info.id))
    elif order.endswith("ended_at"):
        found.sort(key=lambda info: (info.ended_at is not None, info.ended_at or 0, info.id))
    elif order.endswith("last_activity"):
        found.sort(key=lambda info: active[info.id])
    return found[::-1] if order.startswith("-") else found


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    before=st.lists(STEP, max_size=14),
    between=st.lists(STEP, max_size=8),
    conditions=CONDITIONS,
    order=st.sampled_from(ORDERS),
    limit=st.integers(1, 4),
)
def test_pages_give_each_session_that_fitted_at_the_first_page_once_whatever_happens_between(
    before, between, conditions, order, limit
):
    world = World()
    try:
        for step in before:
            world.do(step)
        everything = world.store.sessions.list(order_by="updated_at", limit=1000).items
        given = world.asked(conditions)
        active = {id_text(entry.session): entry.seq for entry in world.store.timeline(limit=1000) if entry.session}
        wanted = [info.id for info in expected(everything, given, order, active)]
        assert world.store.sessions.count(**given).number == len(wanted)
        assert world.store.sessions.count(**given, exact=True).number == len(wanted)
        waiting = list(between)
        found, cursor = [], None
        while True:
            page = world.store.sessions.list(**given, order_by=order, limit=limit, cursor=cursor)
            found += [info.id for info in page]
            cursor = page.next_cursor
            if cursor is None:
                break
            for step in waiting[:3]:
                world.do(step)
            del waiting[:3]
        assert found == wanted
        assert world.store.verify().ok
    finally:
        world.store.close()


def test_every_session_of_one_page_is_as_it_was_at_the_first(store):
    ids = [store.sessions.create(f"s{n}", tags=["t"]).id for n in range(4)]
    page = store.sessions.list(tags=["t"], order_by="created_at", limit=2)
    store.sessions.open(ids[3]).update(name="other", tags=[])
    store.sessions.delete(ids[2])
    rest = store.sessions.list(tags=["t"], order_by="created_at", limit=2, cursor=page.next_cursor)
    assert [(info.id, info.name) for info in rest] == [(ids[2], "s2"), (ids[3], "s3")]
    assert rest.next_cursor is None


def test_a_cursor_of_another_query_is_refused(store):
    for n in range(3):
        store.sessions.create(f"s{n}", tags=["t"])
    cursor = store.sessions.list(tags=["t"], limit=1).next_cursor
    for other in ({}, {"tags": ["u"]}, {"tags": ["t"], "order_by": "created_at"}):
        with pytest.raises(llmspell.InvalidInput, match="cursor") as refused:
            store.sessions.list(**other, limit=1, cursor=cursor)
        assert refused.value.code == "invalid-cursor"


def _plans(store, place, **given):
    return {
        order: read(store, lambda view, o=order: explain(view, session_filter(**given), o, place(o)))
        for order in INDEXED
    }


SHAPES = [
    {}, {"status": "active"}, {"tags": ["a", "b"]}, {"created_by": "ann"}, {"name": "n"}, {"parent": "0" * 32},
    {"metadata": {"a": 1}}, {"status": ["active", "completed"]}, {"ended_after": "2020-01-01"},
    {"text": "word"}, {"text": "word", "status": "active", "metadata": {"a": 1}},
    {"created_after": "2020-01-01"}, {"created_before": "2030-01-01", "status": "active"},
    {"updated_after": "2020-01-01", "updated_before": "2030-01-01", "tags": ["a"]},
]  # fmt: skip


def test_no_query_scans_sessions_or_sorts_what_it_walks():
    store = llmspell.open(":memory:")
    for n in range(10):
        store.sessions.create(f"s{n}", tags=["a"])
    take_in(store)
    edges = {"updated_at": (4,), "created_at": (4, 4), "name": ("s4", bytes(16))}
    for place in (lambda _: Place(), lambda order: Place(5, edges[order.removeprefix("-")])):
        for asked in SHAPES:
            for order, steps in _plans(store, place, **asked).items():
                for step in steps:
                    assert "AUTOMATIC" not in step, (asked, order, step)
                    # FTS5 is always said to be scanned, and so is an index that is walked in its order.
                    walked = re.search("VIRTUAL|COVERING INDEX session_created|s USING INDEX session_name", step)
                    assert "SCAN" not in step or walked, (asked, order, step)
                led = [step for step in steps if "B-TREE" in step and not step.startswith("changed")]
                if order.endswith("updated_at"):
                    assert not led, (asked, order, led)
    store.close()


def test_many_sessions_are_walked_in_the_order_asked_for(monkeypatch):
    monkeypatch.setattr("llmspell.sessions.plan.SORTED_ROWS_MAX", 5)
    monkeypatch.setattr("llmspell.sessions.plan.RARE_ROWS", 5)
    store = llmspell.open(":memory:")
    made = [store.sessions.create(f"s{n}", tags=["a"], description="word").id for n in range(20)]
    take_in(store)
    for asked in ({"tags": ["a"]}, {"text": "word"}, {"text": "word", "tags": ["a"]}, {}):
        steps = read(store, lambda view, g=asked: explain(view, session_filter(**g), "-created_at", Place()))
        assert any(step.startswith("all:") and "session_created" in step for step in steps), steps
        assert not [step for step in steps if step.startswith("all") and "B-TREE" in step]
        page = store.sessions.list(**asked, order_by="-created_at", limit=7)
        rest = store.sessions.list(**asked, order_by="-created_at", limit=50, cursor=page.next_cursor)
        assert [info.id for info in (*page, *rest)] == made[::-1]
    store.close()


def test_many_sessions_are_walked_by_name_and_those_of_one_name_by_their_last_change(monkeypatch):
    monkeypatch.setattr("llmspell.sessions.plan.SORTED_ROWS_MAX", 5)
    monkeypatch.setattr("llmspell.sessions.plan.RARE_ROWS", 5)
    store = llmspell.open(":memory:")
    made = [store.sessions.create(f"s{n % 3}", tags=["a"], description="word") for n in range(21)]
    for session in made[::2]:
        session.complete()
    changed = [*made[1::2], *made[::2]]
    wanted = [session.id for session in sorted(changed, key=lambda one: one.info.name)]
    take_in(store)
    for asked in ({"tags": ["a"]}, {"text": "word"}, {}, {"status": ["active", "completed"]}):
        steps = read(store, lambda view, g=asked: explain(view, session_filter(**g), "name", Place()))
        assert any("session_name" in step for step in steps), steps
        assert not [step for step in steps if "B-TREE" in step and not step.startswith("tail")]
        page = store.sessions.list(**asked, order_by="name", limit=8)
        store.sessions.open(wanted[-1]).update(name="a")  # It was the last when the first page was read.
        rest = store.sessions.list(**asked, order_by="name", limit=50, cursor=page.next_cursor)
        assert [info.id for info in (*page, *rest)] == wanted
        store.sessions.open(wanted[-1]).update(name="s2")
    store.close()


@pytest.mark.parametrize("order", ["name", "-ended_at", "last_activity", "created_at", "-updated_at"])
def test_a_cursor_that_somebody_changed_is_refused(store, order):
    for n in range(3):
        store.sessions.create(f"s{n}")
    cursor = store.sessions.list(order_by=order, limit=1).next_cursor
    parts = read_cursor(cursor, "sessions", 6)
    for changed in ([*parts[:4], [], parts[5]], [*parts[:4], parts[4], {}], [*parts[:4], -1, parts[5]]):
        with pytest.raises(llmspell.InvalidInput) as refused:
            store.sessions.list(order_by=order, limit=1, cursor=write_cursor(*changed))
        assert refused.value.code == "invalid-cursor"
