"""What turns one conversation into another: which messages stay, leave, come, and the numbers they have then.

Messages are compared by digest. Those that stay keep their entries, so that a save writes a message once however often
it is saved. A number names a place: an edited message keeps it, and numbers at the end are not given twice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Numbered = tuple[int, bytes]
"""A message's number and digest."""


@dataclass(slots=True)
class Splice:
    """The steps, in the order they are to be taken: drop, move, then put ``added`` (index, number) in their places.

    ``numbers`` are those of the new conversation, ascending; ``next_number`` is the first one never given.
    """

    dropped: list[tuple[int, int]] = field(default_factory=list)
    moved: list[tuple[int, int, int]] = field(default_factory=list)
    added: list[tuple[int, int]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    next_number: int = 1


def splice(old: Sequence[Numbered], new: Sequence[bytes], next_number: int) -> Splice:
    """How ``old`` becomes ``new``. n log n in their lengths, linear where only the end or one stretch differs."""
    change = Splice(numbers=[0] * len(new))
    at_old = at_new = 0
    last = shift = 0
    for stays, arrives in (*_matches([digest for _, digest in old], new), (len(old), len(new))):
        leaving = [number for number, _ in old[at_old:stays]]
        coming = range(at_new, arrives)
        slots = [number + shift for number in leaving[: len(coming)]]
        rest = len(coming) - len(slots)
        if slots:
            last = slots[-1]
        if stays < len(old):
            room = old[stays][0] + shift - last - 1
            following = [last + step for step in range(1, rest + 1)]
            unshifted = shift
            shift += max(0, rest - room)
        else:
            first = max(next_number, last + 1)
            following = [first + step for step in range(rest)]
            unshifted = shift
        # A number in place of another's is that of the message it replaces, unless everything here moves on.
        _drop(change, leaving if unshifted else leaving[len(slots) :])
        for index, number in zip(coming, (*slots, *following), strict=True):
            change.added.append((index, number))
            change.numbers[index] = last = number
        if stays < len(old):
            number = old[stays][0]
            if shift:
                _move(change, number, shift)
            change.numbers[arrives] = last = number + shift
        at_old, at_new = stays + 1, arrives + 1
    change.next_number = max(next_number, last + 1)
    return change


def _drop(change: Splice, leaving: Sequence[int]) -> None:
    if leaving:
        change.dropped.append((leaving[0], leaving[-1]))


def _move(change: Splice, number: int, shift: int) -> None:
    """Numbers between those that stay are empty once what leaves has left, so that ranges may span them."""
    if change.moved and change.moved[-1][2] == shift:
        change.moved[-1] = (change.moved[-1][0], number, shift)
    else:
        change.moved.append((number, number, shift))


def _matches(old: Sequence[bytes], new: Sequence[bytes]) -> list[tuple[int, int]]:
    """Indices of messages that stay, ascending in both: the same beginning, the same end, the longest run between."""
    bound = min(len(old), len(new))
    head = 0
    while head < bound and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < bound - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    middle = _common(old[head : len(old) - tail], new[head : len(new) - tail])
    return [
        *((index, index) for index in range(head)),
        *((one + head, other + head) for one, other in middle),
        *((len(old) - back, len(new) - back) for back in range(tail, 0, -1)),
    ]


def _common(old: Sequence[bytes], new: Sequence[bytes]) -> list[tuple[int, int]]:
    """A long common subsequence. Messages that say the same are told apart by counting them, from the front or from
    the back, whichever finds more: the first fits what grew, the second what lost its beginning.
    """
    if not old or not new:
        return []
    front = _ascending(_labelled(old), _labelled(new))
    last_old, last_new = len(old) - 1, len(new) - 1
    back = _ascending(_labelled(reversed(old)), _labelled(reversed(new)))
    if len(front) >= len(back):
        return front
    return [(last_old - one, last_new - other) for one, other in reversed(back)]


def _labelled(digests: Iterable[bytes]) -> list[tuple[bytes, int]]:
    seen: defaultdict[bytes, int] = defaultdict(int)
    labels = []
    for digest in digests:
        labels.append((digest, seen[digest]))
        seen[digest] += 1
    return labels


def _ascending(old: Sequence[tuple[bytes, int]], new: Sequence[tuple[bytes, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs of equal labels that ascends in both: patience sorting."""
    places = {label: index for index, label in enumerate(old)}
    pairs = [(places[label], index) for index, label in enumerate(new) if label in places]
    ends: list[int] = []
    piles: list[int] = []
    before: list[int] = []
    for at, (place, _) in enumerate(pairs):
        pile = bisect_left(ends, place)
        before.append(piles[pile - 1] if pile else -1)
        if pile == len(ends):
            ends.append(place)
            piles.append(at)
        else:
            ends[pile], piles[pile] = place, at
    run = []
    at = piles[-1] if piles else -1
    while at >= 0:
        run.append(pairs[at])
        at = before[at]
    return run[::-1]
