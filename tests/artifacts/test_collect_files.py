"""Which files of chunks a collect removes, writes anew or leaves: decided by what is settled and what is alive."""

import pytest

from llmspell.artifacts.collect import DAMAGED, IN_PACKS, IN_PROGRESS, NO_ROOM, CollectReport, _Run
from llmspell.errors import Corrupt, StorageFailed
from llmspell.ports.content import PackUse, Settled

SETTLED_PACK = 5


class Sweep:
    """Tells of packs, and remembers what it was asked to do with them."""

    def __init__(self, *packs, failure=None):
        self.packs, self.failure, self.done = packs, failure, []

    def settled(self):
        return Settled(1, SETTLED_PACK, (), ("stray",), alone=True)

    def uses(self):
        return list(self.packs)

    def drop_stray(self, name):
        self.done.append(("drop", name))
        return 1

    def drop_pack(self, pack):
        self.done.append(("drop", pack.name))
        return pack.size

    def rewrite(self, pack):
        if self.failure is not None:
            raise self.failure
        self.done.append(("rewrite", pack.name))
        return pack.size - pack.alive


def swept(sweep):
    run = _Run(None, None, sweep, CollectReport(dry_run=False), None)
    run._sweep_files()
    return run.report


def pack(id, *, chunks=1, alive=0):
    return PackUse(id, f"pack-{id}", 100, chunks, alive)


def test_a_file_that_no_row_names_goes():
    sweep = Sweep()
    report = swept(sweep)
    assert (sweep.done, report.files, report.freed_bytes, report.kept) == ([("drop", "stray")], 1, 1, {})


@pytest.mark.parametrize("given, done, kept", [
    (pack(SETTLED_PACK - 1, chunks=0), "drop", {}),
    (pack(SETTLED_PACK - 1, alive=50), "rewrite", {}),
    (pack(SETTLED_PACK - 1, alive=51), None, {IN_PACKS: 49}),
    (pack(SETTLED_PACK, chunks=0), None, {IN_PROGRESS: 100}),
    (pack(SETTLED_PACK, alive=1), None, {IN_PROGRESS: 99}),
    (pack(SETTLED_PACK + 1, chunks=0), None, {IN_PROGRESS: 100}),
])  # fmt: skip
def test_only_a_settled_pack_is_removed_and_only_a_mostly_dead_one_moved(given, done, kept):
    sweep = Sweep(given)
    report = swept(sweep)
    assert sweep.done[1:] == ([] if done is None else [(done, given.name)])
    assert report.kept == kept
    assert report.files == 1 + (done is not None)
    assert report.freed_bytes == 1 + (given.size - given.alive if done else 0)


@pytest.mark.parametrize("failed, why", [("disk-full", NO_ROOM), ("pack-damaged", DAMAGED)])
def test_a_pack_that_cannot_be_moved_stays_and_says_why(failed, why):
    sweep = Sweep(pack(1, alive=10), pack(2, chunks=0), failure=StorageFailed("it failed", code=failed))
    report = swept(sweep)
    assert report.kept == {why: 90}
    assert sweep.done[1:] == [("drop", "pack-2")], "the others go on"


@pytest.mark.parametrize("failure", [StorageFailed("the disk broke", code="io-error"), Corrupt("no", code="corrupt")])
def test_any_other_failure_of_a_move_ends_the_collect(failure):
    with pytest.raises(type(failure)) as error:
        swept(Sweep(pack(1, alive=10), failure=failure))
    assert error.value is failure
