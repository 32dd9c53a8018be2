"""The record of who was let in and who was refused: what repeats is counted, and no count is lost."""

import asyncio
from collections import Counter

import pytest

from llmspell.access import ledger
from llmspell.access.ledger import MANY, Access, Ledger
from llmspell.access.projection import DENIED, USED
from llmspell.errors import Corrupt, ReadOnly, StorageFailed
from llmspell.model import limits
from llmspell.model.clock import ManualClock

ONE = Access("agent:b", "agent:a", 1, "access-denied")


class Journal:
    """Takes what is appended; ``failure`` is raised instead while it is set."""

    def __init__(self):
        self.clock = ManualClock()
        self.failure = None
        self.entries = []

    async def write(self, unit, context):
        if self.failure is not None:
            raise self.failure
        await unit(self)

    async def scope(self, name):
        return 1, b""

    async def append(self, kind, payload, scope, subject):
        self.entries.append((kind, payload))

    def counts(self):
        found = Counter()
        for _, payload in self.entries:
            found[payload.scope] += payload.count
        return found


@pytest.fixture
def journal():
    return Journal()


@pytest.fixture
def reported():
    return []


@pytest.fixture
def audit(journal, reported):
    return Ledger(journal, read_only=False, report=lambda what, error: reported.append((what, error)))


def note(audit, *accesses):
    for one in accesses:
        asyncio.run(audit.note(one))


def test_what_repeats_within_a_second_is_one_entry_and_a_count(journal, audit):
    note(audit, *[ONE] * 5)
    assert [payload.count for _, payload in journal.entries] == [1]
    journal.clock.advance(1)
    note(audit, ONE)
    assert [payload.count for _, payload in journal.entries] == [1, 5]
    note(audit, ONE)
    asyncio.run(audit.flush())
    assert [payload.count for _, payload in journal.entries] == [1, 5, 1]


def test_accesses_of_different_kinds_are_told_apart(journal, audit):
    note(audit, ONE, ONE._replace(mask=2), ONE._replace(code=""), ONE._replace(principal="agent:c"))
    assert [(kind, payload.principal, payload.rights) for kind, payload in journal.entries] == [
        (DENIED, "agent:b", ["read"]), (DENIED, "agent:b", ["write"]), (USED, "agent:b", ["read"]),
        (DENIED, "agent:c", ["read"]),
    ]  # fmt: skip


def test_what_cannot_be_written_is_reported_and_goes_with_the_next_entry(journal, reported, audit):
    journal.failure = StorageFailed("no room", code="disk-full")
    note(audit, ONE, ONE)
    assert reported == [("audit", journal.failure)]
    journal.clock.advance(1)
    note(audit, ONE)
    assert len(reported) == 2
    journal.failure = None
    journal.clock.advance(1)
    note(audit, ONE)
    assert journal.counts() == {"agent:a": 4}


def test_a_failure_that_is_no_matter_of_the_disk_is_raised(journal, reported, audit):
    journal.failure = Corrupt("a hash does not match", code="entry-damaged")
    with pytest.raises(Corrupt):
        note(audit, ONE)
    assert reported == []


def test_one_principal_fills_no_more_than_its_records_of_a_second(journal, audit, monkeypatch):
    monkeypatch.setattr(limits, "ACCESS_RECORDS_PER_SECOND_MAX", 2)
    note(audit, *[ONE._replace(scope=f"agent:{number}") for number in range(6)])
    note(audit, ONE._replace(principal="agent:c"))
    asyncio.run(audit.flush())
    assert journal.counts() == {"agent:0": 1, "agent:1": 1, MANY: 4, "agent:a": 1}
    assert len(journal.entries) == 5, "the first of many is written at once, the others with its count"


def test_what_is_owed_has_a_bound_and_every_access_is_in_it(journal, audit, monkeypatch):
    monkeypatch.setattr(ledger, "_OWED_MAX", 2)
    journal.failure = ReadOnly("a sync failed", code="read-only")
    for number in range(5):
        audit.count(ONE._replace(scope=f"agent:{number}"))
    journal.failure = None
    asyncio.run(audit.flush())
    assert journal.counts() == {"agent:0": 1, "agent:1": 1, MANY: 3}


def test_a_handle_that_only_reads_notes_nothing(journal, reported):
    audit = Ledger(journal, read_only=True, report=lambda what, error: reported.append(what))
    note(audit, ONE)
    audit.count(ONE)
    asyncio.run(audit.flush())
    assert (journal.entries, reported) == ([], [])
