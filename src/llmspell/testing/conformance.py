"""What every adapter of the Database port must pass: its contract, clause by clause.

Subclass ``DatabaseConformance`` in a test module under a name that begins with ``Test``, and give it a fixture
``harness`` (``llmspell.testing.harness``) over a new store. ``llmspell.testing.shared`` has the clauses for stores that
several handles can open.

Only plain tables of the store's schema are used, so a suite says nothing about any room.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from llmspell.errors import LlmspellError
from llmspell.journal.journal import Writer
from llmspell.ports.database import Reading, Transaction, Unit
from llmspell.testing.harness import Harness
from llmspell.testing.units import (
    ALL,
    GET,
    PUT,
    Collecting,
    Refusal,
    add,
    check_chain,
    code_of,
    entries,
    getting,
    journal_over,
    note,
    open_journal,
    put,
    raised,
    refuse_early,
    refuse_late,
    rows,
    send,
    writing,
)

BATCH = 64
"""Units of the larger batches."""


class DatabaseConformance:
    """The clauses that hold for every store, one handle and no other."""

    # -- a unit --------------------------------------------------------------------------------------------------------

    def test_a_unit_gives_its_result_and_its_rows_stay(self, harness: Harness) -> None:
        """A unit gives its result and its rows stay."""
        assert harness.run(writing(put("a", 7))) == 7
        assert rows(harness) == {"a": 7}

    def test_a_unit_sees_its_own_writes_and_rolls_back_whole(self, harness: Harness) -> None:
        """A unit sees its own writes and rolls back whole."""

        async def unit(tx: Transaction) -> None:
            await tx.run(PUT, ("a", 1))
            assert await tx.one(GET, ("a",)) == (1,)
            assert await tx.all(ALL) == [("a", 1)]
            raise Refusal("no")

        assert code_of(lambda: harness.run(writing(unit))) == "refusal"
        assert rows(harness) == {}

    def test_adding_a_row_gives_what_the_statement_returns(self, harness: Harness) -> None:
        """Adding a row gives what the statement returns, and it goes with its unit."""

        async def unit(tx: Transaction) -> Any:
            return await tx.add("INSERT INTO watermark (name, seq) VALUES (?, ?) RETURNING seq, name", ("a", 7))

        async def refused(tx: Transaction) -> None:
            await tx.add("INSERT INTO watermark (name, seq) VALUES (?, ?) RETURNING seq", ("b", 8))
            raise Refusal("no")

        assert harness.batch([unit, refused])[0] == (7, "a")
        assert rows(harness) == {"a": 7}

    def test_a_unit_that_only_reads_gives_its_result(self, harness: Harness) -> None:
        """A unit that only reads gives its result."""
        harness.run(writing(put("a", 7)))

        async def unit(tx: Transaction) -> Any:
            return await tx.one(GET, ("a",))

        assert harness.run(writing(unit)) == (7,)

    def test_what_a_unit_raises_is_what_the_caller_gets(self, harness: Harness) -> None:
        """What a unit raises is what the caller gets."""
        mine = Refusal("this very one")

        async def unit(_: Transaction) -> None:
            raise mine

        assert raised(lambda: harness.run(writing(unit))) is mine

    def test_a_statement_the_engine_refuses_is_an_error_of_the_library(self, harness: Harness) -> None:
        """A statement the engine refuses is an error of the library."""

        async def unit(tx: Transaction) -> None:
            await tx.run("INSERT INTO watermark (name, seq) VALUES (?, ?)", ("a", "no number"))

        error = raised(lambda: harness.run(writing(unit)))
        assert isinstance(error, LlmspellError)
        assert error.__cause__ is not None or error.__context__ is not None or error.details
        assert harness.run(writing(put("b", 1))) == 1
        assert rows(harness) == {"b": 1}

    # -- batches -------------------------------------------------------------------------------------------------------

    def test_units_of_a_batch_run_in_order_and_see_those_before_them(self, harness: Harness) -> None:
        """Units of a batch run in order and see those before them."""
        assert harness.batch([add("n") for _ in range(BATCH)]) == list(range(1, BATCH + 1))
        assert rows(harness) == {"n": BATCH}

    def test_a_unit_that_fails_before_it_wrote_harms_no_other(self, harness: Harness) -> None:
        """A unit that fails before it wrote harms no other."""
        units: list[Unit[Any]] = [add("n") for _ in range(BATCH)]
        units[10] = refuse_early
        results = harness.batch(units)
        assert isinstance(results.pop(10), Refusal)
        assert results == list(range(1, BATCH))
        assert rows(harness) == {"n": BATCH - 1}

    def test_a_unit_that_fails_after_it_wrote_leaves_nothing_and_harms_no_other(self, harness: Harness) -> None:
        """A unit that fails after it wrote leaves nothing and harms no other."""
        units: list[Unit[Any]] = [add("n") for _ in range(BATCH)]
        units[40] = refuse_late
        results = harness.batch(units)
        assert isinstance(results.pop(40), Refusal)
        assert results == list(range(1, BATCH))
        assert rows(harness) == {"n": BATCH - 1}

    def test_early_and_late_failures_in_one_batch_leave_the_rest_whole(self, harness: Harness) -> None:
        """Early and late failures in one batch leave the rest whole."""
        units: list[Unit[Any]] = [add("n") for _ in range(BATCH)]
        units[0], units[5], units[6], units[BATCH - 1] = refuse_late, refuse_early, refuse_late, refuse_late
        results = harness.batch(units)
        assert [at for at, result in enumerate(results) if isinstance(result, Refusal)] == [0, 5, 6, BATCH - 1]
        assert [result for result in results if not isinstance(result, Refusal)] == list(range(1, BATCH - 3))
        assert rows(harness) == {"n": BATCH - 4}

    def test_a_batch_in_which_all_fail_stores_nothing(self, harness: Harness) -> None:
        """A batch in which all fail stores nothing."""
        results = harness.batch([refuse_late, refuse_early, refuse_late])
        assert [type(result) for result in results] == [Refusal] * 3
        assert rows(harness) == {}
        assert harness.run(writing(put("a", 1))) == 1

    def test_a_batch_with_a_late_failure_is_still_one_commit(self, harness: Harness) -> None:
        """A batch with a late failure is still one commit."""
        commits: list[list[Any]] = []
        harness.listen(commits.append)

        def announcing(at: int) -> Unit[None]:
            async def unit(tx: Transaction) -> None:
                await tx.run(PUT, (f"k{at:02}", at))
                tx.announce(at)

            return unit

        units: list[Unit[Any]] = [announcing(at) for at in range(BATCH)]
        units[33] = refuse_late
        harness.batch(units)
        assert commits == [[at for at in range(BATCH) if at != 33]]

    def test_a_unit_that_runs_again_gives_the_result_of_its_last_run(self, harness: Harness) -> None:
        """A unit that runs again gives the result of its last run."""
        runs = {"first": 0}

        async def first(tx: Transaction) -> int:
            runs["first"] += 1
            await tx.run(PUT, ("run", runs["first"]))
            tx.announce(runs["first"])
            return runs["first"]

        announced: list[Any] = []
        harness.listen(announced.extend)
        results = harness.batch([first, refuse_late, add("n")])
        assert runs["first"] > 1
        assert results[0] == runs["first"]
        assert rows(harness) == {"run": runs["first"], "n": 1}
        assert announced == [runs["first"]]

    def test_a_unit_that_awaits_something_else_is_refused(self, harness: Harness) -> None:
        """A unit that awaits something else is refused."""

        async def early(_: Transaction) -> None:
            await asyncio.sleep(0)

        async def late(tx: Transaction) -> None:
            await tx.run(PUT, ("half", 1))
            await asyncio.sleep(0)

        results = harness.batch([add("n"), early, add("n"), late, add("n")])
        assert [type(result) for result in results] == [int, RuntimeError, int, RuntimeError, int]
        assert rows(harness) == {"n": 3}

    # -- head and announcements ----------------------------------------------------------------------------------------

    def test_entries_of_a_batch_with_failures_are_contiguous_and_chained(self, harness: Harness) -> None:
        """Entries of a batch with failures are contiguous and chained."""
        announced: list[Any] = []
        harness.listen(announced.extend)
        units: list[Unit[Any]] = []
        journal = journal_over(Collecting(units))  # The journal builds the units; the harness submits them together.
        for at in range(BATCH):
            raised(partial(send, journal.write(note(f"n{at}"))))
        units[3], units[50] = refuse_early, refuse_late
        results = harness.batch(units)
        assert [at for at, result in enumerate(results) if isinstance(result, Refusal)] == [3, 50]
        assert [result for result in results if not isinstance(result, Refusal)] == list(range(1, BATCH - 1))
        found = check_chain(harness)
        assert [entry.data["text"] for entry in found] == [f"n{at}" for at in range(BATCH) if at not in (3, 50)]
        assert [entry.seq for entry in announced] == [entry.seq for entry in found]
        assert [entry.hash for entry in announced] == [entry.hash for entry in found]

    def test_the_head_a_unit_sees_is_the_newest_entry(self, harness: Harness) -> None:
        """The head a unit sees is the newest entry."""
        journal = harness.run(open_journal)

        async def head(tx: Transaction) -> Any:
            return tx.head

        assert harness.run(writing(head)).seq == 0
        for expected in (1, 2, 3):
            assert harness.run(lambda _: journal.write(note("x"))) == expected
            seen = harness.run(writing(head))
            assert (seen.seq, seen.hash) == (expected, entries(harness)[-1].hash)

    def test_a_failed_unit_leaves_the_head_where_it_was(self, harness: Harness) -> None:
        """A failed unit leaves the head where it was."""
        journal = harness.run(open_journal)

        async def half(writer: Writer) -> None:
            await note("half")(writer)
            await note("again")(writer)
            raise Refusal("no")

        assert harness.run(lambda _: journal.write(note("one"))) == 1
        assert code_of(lambda: harness.run(lambda _: journal.write(half))) == "refusal"
        assert harness.run(lambda _: journal.write(note("two"))) == 2
        assert [entry.data["text"] for entry in check_chain(harness)] == ["one", "two"]

    def test_listeners_hear_of_a_commit_only_after_it(self, harness: Harness) -> None:
        """Listeners hear of a commit only after it."""
        seen: list[Any] = []

        def listener(items: list[Any]) -> None:
            seen.append((items, dict(harness.read_here(lambda view: view.all(ALL)))))

        harness.listen(listener)

        async def unit(tx: Transaction) -> None:
            await tx.run(PUT, ("a", 1))
            tx.announce("one")
            await tx.run(PUT, ("b", 2))
            tx.announce("two")

        harness.run(writing(unit))
        assert seen == [(["one", "two"], {"a": 1, "b": 2})]

    def test_what_a_failed_unit_announced_is_never_heard(self, harness: Harness) -> None:
        """What a failed unit announced is never heard."""
        heard: list[Any] = []
        harness.listen(heard.extend)
        raised(lambda: harness.run(writing(refuse_late)))
        harness.batch([refuse_late, refuse_late])
        harness.batch([refuse_early, add("n"), refuse_early])
        harness.batch([refuse_early, add("n"), refuse_late, refuse_early])
        assert heard == []

    # -- reading -------------------------------------------------------------------------------------------------------

    def test_a_read_holds_everything_acknowledged_before_it(self, harness: Harness) -> None:
        """A read holds everything acknowledged before it."""
        for value in range(20):
            harness.run(writing(put("a", value)))
            assert harness.run(getting("a")) == (value,)
            assert rows(harness) == {"a": value}

    def test_reading_gives_rows_in_the_order_of_the_query_and_none_for_no_row(self, harness: Harness) -> None:
        """Reading gives rows in the order of the query and none for no row."""
        for name in "cab":
            harness.run(writing(put(name, ord(name))))

        def query(view: Reading) -> Any:
            return (
                view.one(GET, ("z",)),
                view.one(GET, ("a",)),
                view.all("SELECT name FROM watermark ORDER BY name DESC"),
            )

        found = harness.run(lambda database: database.read(query))
        assert found == (None, (97,), [("c",), ("b",), ("a",)])
        assert harness.run(getting("z")) is None

    def test_what_a_query_raises_is_what_the_caller_gets(self, harness: Harness) -> None:
        """What a query raises is what the caller gets."""

        def query(view: Reading) -> Any:
            view.one(GET, ("a",))
            raise Refusal("in the query")

        assert code_of(lambda: harness.run(lambda database: database.read(query))) == "refusal"
        assert rows(harness) == {}

    def test_a_query_cannot_change_anything(self, harness: Harness) -> None:
        """A query cannot change anything."""
        raised(lambda: harness.run(lambda database: database.read(lambda view: view.all(PUT, ("a", 1)))))
        assert rows(harness) == {}

    def test_a_malformed_query_is_an_error_of_the_library(self, harness: Harness) -> None:
        """A malformed query is an error of the library."""
        for work in (
            lambda: harness.run(lambda database: database.read(lambda view: view.all("SELECT nonsense"))),
            lambda: harness.run(lambda database: database.one("SELECT nonsense")),
        ):
            assert isinstance(raised(work), LlmspellError)
        assert rows(harness) == {}

    # -- care ----------------------------------------------------------------------------------------------------------

    def test_a_strong_write_gives_its_result_and_weak_ones_go_on(self, harness: Harness) -> None:
        """A strong write gives its result and weak ones go on."""
        assert harness.run(writing(add("n"))) == 1
        assert harness.run(writing(add("n"), strong=True)) == 2
        assert code_of(lambda: harness.run(writing(refuse_late, strong=True))) == "refusal"
        assert harness.run(writing(add("n"))) == 3

    def test_a_closed_database_refuses_everything(self, harness: Harness) -> None:
        """A closed database refuses everything."""
        harness.run(writing(put("a", 1)))
        harness.close_files()
        for work in (
            lambda: harness.run(writing(put("a", 2))),
            lambda: harness.run(lambda database: database.read(lambda view: view.all(ALL))),
            lambda: harness.run(getting("a")),
        ):
            assert code_of(work) == "closed"
