"""The lagging indexes answer the same wherever their watermark stands, and no query scans the journal."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmspell.events.kinds import PUBLISHED, EventPublished
from llmspell.journal import terms
from llmspell.journal.kinds import CLOCK_JUMPED, ClockJumped
from llmspell.journal.reading import EntryQuery, explain, read_page, watermark_of
from llmspell.model.context import Context, Correlation
from llmspell.model.entry import subject_digest
from llmspell.sync.drive import drive
from tests.journal.conftest import Bench

KINDS = {"event.published": PUBLISHED, "clock.jumped": CLOCK_JUMPED}
SESSIONS = [None, b"s" * 16, b"t" * 16]
CORRELATIONS = [Correlation(bytes([n]) * 16, f"c{n}") for n in (1, 2)]


def index(bench, entries_max=terms.STEP_ENTRIES):
    return drive(bench.journal.database.write(lambda tx: terms.step(tx, entries_max)))


def fill(bench, rows):
    for kind, session, correlation, cause, step_s in rows:
        bench.clock.advance(step_s)
        payload = EventPublished("a.b", None) if kind == "event.published" else ClockJumped(1.0)
        context = Context(session=session, correlation=correlation, cause=cause)
        bench.append(KINDS[kind], payload, subject=f"about/{kind}", context=context)


ENTRY = st.tuples(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(SESSIONS),
    st.sampled_from([None, *CORRELATIONS]),
    st.integers(0, 6),
    st.sampled_from([0, 0, 1, 7]),
)


@st.composite
def queries(draw):
    after = draw(st.integers(0, 12))
    return EntryQuery(
        session=draw(st.sampled_from(SESSIONS)),
        correlation=draw(st.sampled_from([None, *(one.id for one in CORRELATIONS)])),
        cause=draw(st.none() | st.integers(1, 6)),
        kinds=draw(st.sampled_from([(), ("event.published",), ("clock.jumped", "event.published"), ("none.such",)])),
        since=draw(st.none() | st.integers(0, 20)),
        until=draw(st.none() | st.integers(0, 60)),
        after=after,
        before=draw(st.none() | st.integers(after, 30)),
        newest_first=draw(st.booleans()),
    )


def expected(entries, query, limit):
    def fits(entry):
        return (
            (query.session is None or entry.session == query.session)
            and (query.correlation is None or entry.correlation == query.correlation)
            and (query.cause is None or entry.cause == query.cause)
            and (not query.kinds or entry.kind in query.kinds)
            and (query.since is None or entry.at >= query.since)
            and (query.until is None or entry.at <= query.until)
            and entry.seq > query.after
            and (query.before is None or entry.seq < query.before)
        )

    found = [entry.seq for entry in entries if fits(entry)]
    return (found[::-1] if query.newest_first else found)[:limit]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(ENTRY, max_size=20),
    steps=st.lists(st.integers(1, 7), max_size=6),
    wanted=st.lists(queries(), min_size=1, max_size=6),
    limit=st.integers(1, 25),
)
def test_any_query_gives_the_same_wherever_the_watermark_stands(rows, steps, wanted, limit):
    bench = Bench()
    try:
        fill(bench, rows)
        start = 1_700_000_000_000_000_000
        every = bench.read(lambda view: read_page(view, EntryQuery(), 10_000))
        for entries_max in [None, *steps, 1000]:
            if entries_max is not None:
                index(bench, entries_max)
            for query in wanted:
                moved = EntryQuery(
                    **{name: getattr(query, name) for name in query.__slots__}
                    | {
                        edge: None if getattr(query, edge) is None else start + getattr(query, edge) * 1_000_000_000
                        for edge in ("since", "until")
                    }
                )
                found = [entry.seq for entry in bench.read(lambda view, q=moved: read_page(view, q, limit))]
                assert found == expected(every, moved, limit), (moved, bench.read(watermark_of))
        assert bench.read(watermark_of) == len(every)
    finally:
        bench.close()


@settings(max_examples=30)
@given(rows=st.lists(ENTRY, max_size=20), steps=st.lists(st.integers(1, 7), max_size=6))
def test_counters_of_sessions_and_their_tail_add_up_wherever_the_watermark_stands(rows, steps):
    bench = Bench()
    try:
        fill(bench, rows)
        for entries_max in [*steps, 1000]:
            index(bench, entries_max)
            for session in SESSIONS[1:]:
                counted = bench.read(lambda view, s=session: view.one(COUNT, (s, s)))[0]
                in_journal = next(bench.sql("SELECT count(*) FROM entry WHERE session = ?", (session,)))[0]
                assert counted == in_journal
    finally:
        bench.close()


COUNT = (
    "SELECT coalesce((SELECT entries FROM session_activity WHERE session = ?), 0) + (SELECT count(*) FROM entry"
    " WHERE session = ? AND seq > coalesce((SELECT seq FROM watermark WHERE name = 'terms'), 0))"
)


def test_a_step_over_a_complete_index_does_nothing(bench):
    fill(bench, [("event.published", None, None, 0, 0)] * 5)
    assert index(bench) == 5
    assert index(bench) == 0


def test_steps_take_in_everything_a_bounded_number_at_a_time(bench):
    fill(bench, [("event.published", SESSIONS[1], None, 0, 0)] * 25)
    assert [index(bench, 10) for _ in range(4)] == [10, 10, 5, 0]


SHAPES = {
    "subject": subject_digest(b"x" * 16, "state/k"),
    "session": SESSIONS[1],
    "correlation": CORRELATIONS[0].id,
    "cause": 3,
    "kinds": ("event.published", "state.set"),
    "since": 1_700_000_000_000_000_000,
    "until": 1_800_000_000_000_000_000,
    "after": 2,
    "before": 90,
    "newest_first": True,
}
COMBINATIONS = [chosen for size in range(len(SHAPES) + 1) for chosen in itertools.combinations(SHAPES, size)]


@pytest.mark.parametrize("watermark", ["behind", "current"])
def test_no_query_scans_the_journal(bench, watermark):
    fill(bench, [("event.published", SESSIONS[1], CORRELATIONS[0], 1, 1)] * 100)
    if watermark == "current":
        index(bench)
    for chosen in COMBINATIONS:
        query = EntryQuery(**{name: SHAPES[name] for name in chosen})
        for step in bench.read(lambda view, q=query: explain(view, q)):
            assert not step.startswith("SCAN entry"), (chosen, step)
            assert not step.startswith("SCAN term"), (chosen, step)
            assert "AUTOMATIC" not in step, (chosen, step)


def test_indexing_reads_only_the_entries_it_takes_in(bench):
    for sql in terms._FILL:
        for row in bench.sql(f"EXPLAIN QUERY PLAN {sql}", (10, 20)):
            if "entry" in row[3]:
                assert row[3] == "SEARCH entry USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", (sql, row[3])
