"""Values made from a field: the smallest one, those at its edges, and others by chance from a seed.

Every value made is one that the field accepts, so far as no validator of yours is asked. The same seed gives the same
values on every machine.

What an object may hold without naming it is made too, under names that no schema at hand names: a program that writes
by a schema does not write members that the schema knows nothing of under a name that another version gives a meaning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain, islice
from random import Random
from typing import Any

from llmspell.schemas.checking import Validators, copied, identity, problems
from llmspell.schemas.field import ANY, Field
from llmspell.schemas.language import lengths, text_of, text_within
from llmspell.schemas.pattern import PATTERN_TEXT_CHARS_MAX
from llmspell.schemas.presence import with_needs
from llmspell.schemas.ranges import float_range, floats, integer_range, integers

EDGES_MAX = 300
"""Values at edges that are made of one field."""
WORK_MAX = 500_000
"""Parts of values that ``examples`` makes altogether, whatever count is asked for."""
_LONG = 1_000
_KINDS: tuple[type, ...] = (bool, int, float, str, list, dict)
_TEXT = ("a", "b", "Z", "0", "9", " ", "_", "-", ".", "/", '"', "\\", "\n", "\x00", "é", "ß", "\u2028", "漢", "😀")
_NUMBERS = (0, 1, -1, 7, 255, -256, 2**31, 2**53 + 1, -(2**63), 2**64, 10**20)
_FLOATS = (0.0, -0.0, 1.0, -1.5, 0.1, 3.14, 1e-300, 1e22, -2.5e300)


def smallest(field: Field, *, kind: type | None = None, given: Mapping[str, Any] | None = None) -> Any:
    """The smallest value that a field accepts; of one exact Python type, where it is of several.

    ``given``: members that an object is to have, with their values; what they need comes along.
    """
    if field.enum is not None:
        return next(value for value in field.enum if kind is None or type(value) is kind)
    kind = kind or next((one for one in _KINDS if one in field.kinds and _has(field, one)), None)
    if kind is int:
        return next(integers(*(integer_range(field) or (0, 0))))
    if kind is float:
        return next(floats(*(float_range(field) or (0.0, 0.0))))
    least = field.length_min or 0
    if kind is str:
        text = None if field.compiled is None else text_within(field.compiled, least, field.length_max)
        return "a" * least if text is None else text
    if kind is list:
        return [smallest(field.items or ANY) for _ in range(least)]
    if kind is dict:
        return _object(field, given or {})
    return False


def _has(field: Field, kind: type) -> bool:
    if kind is int:
        return integer_range(field) is not None
    return kind is not float or float_range(field) is not None


def _object(field: Field, given: Mapping[str, Any]) -> dict[str, Any]:
    named = field.fields or {}
    there = with_needs(field, (name for name in given if name in named))
    made = {name: given[name] if name in given else smallest(named[name]) for name in named if name in there}
    made.update((name, value) for name, value in given.items() if name not in made)
    for name in spare_names(named):
        if len(made) >= (field.length_min or 0):
            return made
        made.setdefault(name, smallest(field.items or ANY))
    return made


def spare_names(taken: Collection[str]) -> Iterator[str]:
    """Names that are not taken, without end."""
    number = 0
    while True:
        number += 1
        if f"other_{number}" not in taken:
            yield f"other_{number}"


def names_in(field: Field) -> set[str]:
    """All names of fields, at any depth."""
    below = [*(field.fields or {}).values(), *([field.items] if field.items is not None else [])]
    return set(field.fields or ()).union(*map(names_in, below))


def examples(
    field: Field,
    *,
    count: int = 100,
    seed: int = 0,
    avoid: Collection[str] = (),
    validators: Validators | None = None,
) -> Iterator[Any]:
    """Values that a field accepts: those at its edges (at most half of them), then others by chance.

    ``avoid``: names that unknown members do not get. With ``validators``, values that one of them refuses are left out,
    so that fewer come. Fewer come too of a schema whose values are large (``WORK_MAX``).
    """
    count = min(count, max(WORK_MAX // field.weight, 4))
    maker = Maker(seed, names_in(field) | set(avoid))
    edges = list(islice(maker.edges(field), count - count // 2))
    for value in chain(edges, (maker.value(field) for _ in range(count - len(edges)))):
        if validators is None or not problems(field, value, validators):
            yield copied(value)  # It may be, or hold, a value of an enum, which is the schema's own.


class Maker:
    """Makes values by chance; ``taken`` are names that unknown members do not get."""

    def __init__(self, seed: int, taken: Collection[str]) -> None:
        self._rng = Random(seed)  # noqa: S311 - examples repeat
        self._taken = sorted(taken)

    # -- by chance -----------------------------------------------------------------------------------------------------

    def value(self, field: Field, depth: int = 0) -> Any:
        """A value that the field accepts."""
        rng = self._rng
        if field.accepts_null and rng.random() < 0.15 and (field.enum is None or field.nullable):
            return None
        if field.enum is not None:
            return rng.choice(field.enum)
        kind = rng.choice([one for one in _KINDS if one in field.kinds and _has(field, one)])
        if kind is bool:
            return rng.random() < 0.5
        if kind is int:
            return self._integer(field)
        if kind is float:
            return self._float(field)
        if kind is str:
            return self._text(field)
        return self._list(field, depth) if kind is list else self._dict(field, depth)

    def _integer(self, field: Field) -> int:
        low, high = integer_range(field) or (0, 0)
        if low is not None and high is not None and self._rng.random() < 0.5:
            return self._rng.randint(low, high)
        near = self._rng.choice(_NUMBERS) + self._rng.randint(-3, 3)
        near = near if low is None else max(low, near)
        return near if high is None else min(high, near)

    def _float(self, field: Field) -> float:
        low, high = float_range(field) or (0.0, 0.0)
        near = self._rng.choice(_FLOATS) if self._rng.random() < 0.5 else self._rng.uniform(-100.0, 100.0)
        if not low <= near <= high and high - low < 1e300:
            near = low + (high - low) * self._rng.random()
        return min(max(near, low), high)

    def _text(self, field: Field) -> str:
        least = field.length_min or 0
        if field.compiled is not None:
            sizes = list(islice(lengths(field.compiled, least, _most(field)), 8))
            return text_of(field.compiled, self._rng.choice(sizes), self._rng)
        most = min(least + 12, field.length_max if field.length_max is not None else least + 12)
        return "".join(self._rng.choices(_TEXT, k=self._rng.randint(least, most)))

    def _list(self, field: Field, depth: int) -> list[Any]:
        size = self._size(field, depth)
        return [self.value(field.items or _shallow(depth), depth + 1) for _ in range(size)]

    def _dict(self, field: Field, depth: int) -> dict[str, Any]:
        named = field.fields or {}
        chosen = with_needs(field, (name for name in named if self._rng.random() < 0.5))
        made = {name: self.value(one, depth + 1) for name, one in named.items() if name in chosen}
        if field.unknown == "keep":
            least = field.length_min or 0
            for name in islice(self._other_names(field), max(self._size(field, depth), least - len(made))):
                made[name] = self.value(field.items or _shallow(depth), depth + 1)
        return made

    def _other_names(self, field: Field) -> Iterator[str]:
        """A map may have members of any name, also one that a schema gives a meaning."""
        named = field.fields or {}
        if field.items is not None:
            free = [name for name in self._taken if name not in named]
            yield from self._rng.sample(free, min(len(free), self._rng.randint(0, 2)))
        yield from spare_names({*self._taken, *named})

    def _size(self, field: Field, depth: int) -> int:
        """A number of items, fewer the deeper, so that the whole stays small."""
        least = field.length_min or 0
        most = least + self._rng.randint(0, max(0, 3 - depth))
        return most if field.length_max is None else min(most, field.length_max)

    # -- edges ---------------------------------------------------------------------------------------------------------

    def edges(self, field: Field) -> Iterator[Any]:
        """Values where a rule begins or ends, each alone in an otherwise smallest value; at most ``EDGES_MAX``."""
        yield from islice(self._edges(field), EDGES_MAX)

    def _edges(self, field: Field) -> Iterator[Any]:
        if field.accepts_null:
            yield None
        if field.enum is not None:
            yield from field.enum
            return
        if bool in field.kinds:
            yield from (False, True)
        if int in field.kinds and (span := integer_range(field)) is not None:
            yield from _distinct([*islice(integers(*span), 3), *(bound for bound in span if bound is not None)])
        if float in field.kinds and (reals := float_range(field)) is not None:
            yield from islice(floats(*reals), 6)
        if str in field.kinds:
            yield from self._text_edges(field)
        if list in field.kinds:
            yield from self._list_edges(field)
        if dict in field.kinds:
            yield from self._dict_edges(field)

    def _text_edges(self, field: Field) -> Iterator[str]:
        least, most = field.length_min or 0, field.length_max
        sizes = [least, least + 1] if most is None else [least, min(least + 1, most), min(most, least + _LONG)]
        if field.compiled is not None:
            for size in islice(lengths(field.compiled, least, _most(field)), 4):
                yield text_of(field.compiled, size)
            return
        for size in _distinct(sizes):
            yield from ("a" * size, "é" * size, "\x00" * size) if size else ("",)

    def _list_edges(self, field: Field) -> Iterator[list[Any]]:
        base = smallest(field, kind=list)
        yield base
        most = field.length_max
        if most is None or most > len(base):
            yield [*base, smallest(field.items or ANY)]
        if most is not None and len(base) + 1 < most <= len(base) + _LONG and most * _weight(field) <= WORK_MAX // 100:
            yield [smallest(field.items or ANY) for _ in range(most)]
        if most != 0 and field.items is not None:
            for edge in self._edges(field.items):
                yield [edge, *base[1:]]

    def _dict_edges(self, field: Field) -> Iterator[dict[str, Any]]:
        named = field.fields or {}
        yield _object(field, {})
        if named:
            yield _object(field, {name: smallest(one) for name, one in named.items()})
        if field.length_max != 0 and field.unknown == "keep":
            other = next(spare_names({*self._taken, *named}))
            room = field.length_max is None or field.length_max > len(_object(field, {}))
            if room:
                yield _object(field, {other: smallest(field.items or ANY)})
            if field.items is not None:
                for edge in self._edges(field.items):
                    yield _object(field, {other: edge})
        for name, one in named.items():
            for edge in self._edges(one):
                yield _object(field, {name: edge})


def _weight(field: Field) -> int:
    return field.items.weight if field.items is not None else 1


def _shallow(depth: int) -> Field:
    """What an item that may be anything is made of."""
    return ANY if depth < 2 else _SCALAR


def _most(field: Field) -> int:
    return PATTERN_TEXT_CHARS_MAX if field.length_max is None else min(field.length_max, PATTERN_TEXT_CHARS_MAX)


def _distinct(values: list[Any]) -> list[Any]:
    return list({identity(value): value for value in values}.values())


_SCALAR = Field("number", nullable=True)
