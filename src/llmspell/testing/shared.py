"""What every adapter of the Database port must pass when several tasks, threads and handles use a store at once.

Subclass ``SharedDatabaseConformance`` under a name that begins with ``Test`` and give it two fixtures: ``harness`` and
``second``, harnesses over two handles of the same store.
"""

from __future__ import annotations

from typing import Any

from llmspell.ports.database import Database, Reading
from llmspell.testing.harness import Harness
from llmspell.testing.units import (
    GET,
    Refusal,
    add,
    check_chain,
    elsewhere,
    getting,
    note,
    open_journal,
    put,
    refuse_early,
    refuse_late,
    rows,
    writing,
)


class SharedDatabaseConformance:
    """The clauses for stores that several tasks, threads and handles use at once."""

    def test_read_modify_write_loses_nothing_among_many(self, harness: Harness) -> None:
        """Read modify write loses nothing among many."""

        async def work(database: Database) -> None:
            for _ in range(20):
                await database.write(add("n"))

        assert harness.at_once([work] * 8) == [None] * 8
        assert rows(harness) == {"n": 160}

    def test_failures_among_many_harm_nobody(self, harness: Harness) -> None:
        """Failures among many harm nobody."""

        def work(at: int) -> Any:
            async def step(database: Database) -> int:
                failed = 0
                for turn in range(20):
                    try:
                        await database.write((add("n"), refuse_early, refuse_late)[(turn + at) % 3])
                    except Refusal:
                        failed += 1
                return 20 - failed

            return step

        written = harness.at_once([work(at) for at in range(9)])
        assert rows(harness) == {"n": sum(written)} == {"n": 60}

    def test_two_handles_see_each_others_writes_at_once(self, harness: Harness, second: Harness) -> None:
        """Two handles see each other's writes at once."""
        for turn in range(1, 11):
            assert harness.run(writing(add("n"))) == 2 * turn - 1
            assert second.run(getting("n")) == (2 * turn - 1,)
            assert second.run(writing(add("n"))) == 2 * turn
            assert harness.run(getting("n")) == (2 * turn,)

    def test_the_head_is_read_anew_after_another_handle_wrote(self, harness: Harness, second: Harness) -> None:
        """The head is read anew after another handle wrote."""
        mine, theirs = harness.run(open_journal), second.run(open_journal)
        for turn in range(6):
            assert harness.run(lambda _: mine.write(note("mine"))) == 3 * turn + 1
            assert second.run(lambda _: theirs.write(note("theirs"))) == 3 * turn + 2
            assert second.run(lambda _: theirs.write(note("theirs"))) == 3 * turn + 3
        check_chain(harness)

    def test_a_read_stays_at_its_moment_while_another_handle_writes(self, harness: Harness, second: Harness) -> None:
        """A read stays at its moment while another handle writes."""
        harness.run(writing(put("a", 1)))

        def query(view: Reading) -> Any:
            before = view.one(GET, ("a",))
            elsewhere(lambda: second.run(writing(put("a", 2))))
            return before, view.one(GET, ("a",))

        assert harness.run(lambda database: database.read(query)) == ((1,), (1,))
        assert harness.run(getting("a")) == (2,)
