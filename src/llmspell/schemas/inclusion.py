"""Whether all values that one field accepts are read by another, and if not, values that show it.

``breaks`` is exact: it names no difference that no value shows, and leaves out none that one does. Undecided, and so
named without an example, is only what a validator of yours decides, patterns that are too far apart to be compared
within ``language.STEPS_MAX`` steps, and examples that would be too large to make.

To read a value is to fill the reader's defaults in and to check it then. The values of an object that keeps unknown
members may have any such members, except under names that the reader gives a meaning (``generate`` says why).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from msgspec import UNSET

from llmspell.schemas.checking import completed, identity, problems
from llmspell.schemas.field import ANY, Field
from llmspell.schemas.generate import names_in, smallest, spare_names
from llmspell.schemas.language import Listed, Matching, Undecided, lengths, text_of, text_outside
from llmspell.schemas.pattern import EVERYTHING, PATTERN_TEXT_CHARS_MAX, Pattern
from llmspell.schemas.presence import must, with_needs
from llmspell.schemas.ranges import float_range, floats, integer_range, integers

EXAMPLE_ITEMS_MAX = 20_000
"""Items or characters of the largest example that is made."""
_TYPE_NAMES = {bool: "boolean", int: "integer", float: "float", str: "string", list: "list", dict: "object"}


class Break(NamedTuple):
    """What the reader refuses: where, which property of the field is why, and a value of the writer that shows it.

    ``example`` is UNSET when it is undecided, or could not be made.
    """

    path: str
    what: str
    example: Any


def breaks(writer: Field, reader: Field, path: str = "$") -> Iterator[Break]:
    """Where the reader refuses what the writer accepts; nothing when it reads all of it."""
    spare = next(spare_names(names_in(writer) | names_in(reader)))
    return _breaks(writer, reader, path, spare)


def _breaks(writer: Field, reader: Field, path: str, spare: str) -> Iterator[Break]:
    yield from _validators(writer, reader, path)
    if writer.enum is not None:
        values = [*writer.enum, *([None] if writer.nullable and None not in writer.enum else [])]
        yield from _listed(values, reader, path)
        return
    yield from _kinds(writer, reader, path)
    shared = writer.kinds & reader.kinds
    if reader.enum is not None:
        yield from _outside_enum(writer, reader, shared, path)
        return
    yield from _ranges(writer, reader, shared, path)
    if str in shared:
        yield from _texts(writer, reader, path)
    if list in shared:
        yield from _lists(writer, reader, path, spare)
    if dict in shared:
        yield from _objects(writer, reader, path, spare)


def _validators(writer: Field, reader: Field, path: str) -> Iterator[Break]:
    if set(reader.validators) - set(writer.validators):
        yield Break(path, "validators", UNSET)


_ASPECT = {"type": "type", "null": "nullable", "unknown": "unknown", "missing": "required"}


def _listed(values: list[Any], reader: Field, path: str) -> Iterator[Break]:
    """One break a property, when all values are known."""
    seen = set()
    for value in values:
        for problem in problems(reader, completed(reader, value), ask=False):
            what = _ASPECT.get(problem.code, problem.code) if problem.path == "$" else "enum"
            if what not in seen:
                seen.add(what)
                yield Break(path, what, value)


def _kinds(writer: Field, reader: Field, path: str) -> Iterator[Break]:
    if writer.accepts_null and not reader.accepts_null:
        yield Break(path, "nullable", None)
    for kind in sorted(writer.kinds - reader.kinds, key=_TYPE_NAMES.__getitem__):
        if not _has(writer, kind):
            continue
        yield Break(path, "type", smallest(writer, kind=kind))
        return


def _has(field: Field, kind: type) -> bool:
    if kind is int:
        return integer_range(field) is not None
    return kind is not float or float_range(field) is not None


# -- enum --------------------------------------------------------------------------------------------------------------


def _outside_enum(writer: Field, reader: Field, shared: frozenset[type], path: str) -> Iterator[Break]:
    """A value of the writer's that the reader's list does not have."""
    members = reader.members or frozenset()
    for kind in sorted(shared, key=_TYPE_NAMES.__getitem__):
        for value in islice(_various(writer, reader, kind), len(members) + 2):
            if value is UNSET or identity(value) not in members:
                yield Break(path, "enum", value)
                return


def _various(writer: Field, reader: Field, kind: type) -> Iterator[Any]:
    """Distinct values of one type: all of them, or more than the reader's list has; UNSET for "perhaps another"."""
    if kind is bool:
        yield from (False, True)
    elif kind is int and (whole := integer_range(writer)) is not None:
        yield from integers(*whole)
    elif kind is float and (real := float_range(writer)) is not None:
        yield from floats(*real)
    elif kind is str:
        listed = Listed(value for value in reader.enum or () if type(value) is str)
        text = _text_outside(writer, listed)
        if text is not None:
            yield text
    elif kind is list:
        yield from _various_lists(writer)
    elif kind is dict:
        yield from _various_objects(writer)


def _various_lists(writer: Field) -> Iterator[Any]:
    """Lists differ by their length at least; when lengths are bounded there may be others that are not looked for."""
    base = smallest(writer, kind=list)
    item = smallest(writer.items or ANY)
    most = writer.length_max
    while most is None or len(base) <= most:
        yield base
        base = [*base, item]
    if most != 0:
        yield UNSET


def _various_objects(writer: Field) -> Iterator[Any]:
    base = smallest(writer, kind=dict)
    yield base
    if writer.unknown == "keep":
        for count, name in enumerate(spare_names(writer.fields or ()), start=len(base) + 1):
            if writer.length_max is not None and count > writer.length_max:
                break
            base = {**base, name: smallest(writer.items or ANY)}
            yield base
    if writer.fields or writer.length_max != 0:
        yield UNSET


# -- numbers and texts -------------------------------------------------------------------------------------------------


def _ranges(writer: Field, reader: Field, shared: frozenset[type], path: str) -> Iterator[Break]:
    if reader.min is None and reader.max is None:
        return
    for kind in (int, float):
        if kind not in shared or not _has(writer, kind):
            continue
        for value in _extremes(writer, reader, kind):
            if (reader.min is not None and value < reader.min) or (reader.max is not None and value > reader.max):
                yield Break(path, "range", value)
                return


def _extremes(writer: Field, reader: Field, kind: type) -> Iterator[Any]:
    """The writer's own bounds; where it has none, something beyond the reader's."""
    if kind is float:
        yield from float_range(writer) or ()
        return
    low, high = integer_range(writer) or (0, 0)
    below = min(int(reader.min) - 1 if reader.min is not None else 0, 0 if high is None else high)
    above = max(int(reader.max) + 1 if reader.max is not None else 0, 0 if low is None else low)
    yield low if low is not None else below
    yield high if high is not None else above


def _span(field: Field) -> tuple[int, int | None]:
    """The lengths of the texts that a field accepts; a pattern bounds them by what it is matched against."""
    least, most = field.length_min or 0, field.length_max
    if field.compiled is not None:
        most = PATTERN_TEXT_CHARS_MAX if most is None else min(most, PATTERN_TEXT_CHARS_MAX)
    return least, most


def _texts(writer: Field, reader: Field, path: str) -> Iterator[Break]:
    (least, most), (reader_least, reader_most) = _span(writer), _span(reader)
    pattern = writer.compiled or EVERYTHING
    if least < reader_least:
        top = reader_least - 1 if most is None else min(most, reader_least - 1)
        if (short := _text(pattern, least, top)) is not None:
            yield Break(path, "length", short)
    if reader_most is not None and (most is None or most > reader_most):
        long = _text(pattern, max(least, reader_most + 1), most)
        if long is not None:
            yield Break(path, "length" if reader_most == reader.length_max else "pattern", long)
    if reader.compiled is not None and reader.pattern != writer.pattern:
        other = _text_outside(writer, Matching(reader.compiled))
        if other is not None:
            yield Break(path, "pattern", other)


def _text(pattern: Pattern, least: int, most: int | None) -> Any:
    """A text of a length within bounds; None: there is none; UNSET: it would be too large to make."""
    if pattern is EVERYTHING:
        return "a" * least if least <= EXAMPLE_ITEMS_MAX else UNSET
    size = next(lengths(pattern, least, most), None)
    return None if size is None else text_of(pattern, size)


def _text_outside(writer: Field, other: Matching | Listed) -> Any:
    least, most = _span(writer)
    try:
        return text_outside(writer.compiled or EVERYTHING, other, least, most)
    except Undecided:
        return UNSET


# -- lists and objects -------------------------------------------------------------------------------------------------


def _lists(writer: Field, reader: Field, path: str, spare: str) -> Iterator[Break]:
    least, most = writer.length_min or 0, writer.length_max
    base = smallest(writer, kind=list)
    if least < (reader.length_min or 0):
        yield Break(path, "length", base)
    if reader.length_max is not None and (most is None or most > reader.length_max):
        yield Break(path, "length", _many(writer, max(reader.length_max + 1, least)))
    if reader.items is not None and most != 0:
        for found in _breaks(writer.items or ANY, reader.items, f"{path}[]", spare):
            example = UNSET if found.example is UNSET else [found.example, *base[1:]]
            yield found._replace(example=example)


def _many(writer: Field, size: int) -> Any:
    item = writer.items or ANY
    return [smallest(item) for _ in range(size)] if size * item.weight <= EXAMPLE_ITEMS_MAX else UNSET


def _objects(writer: Field, reader: Field, path: str, spare: str) -> Iterator[Break]:
    named, read = writer.fields or {}, reader.fields or {}
    for name in sorted({*named, *read}):
        yield from _member(writer, reader, name, f"{path}.{name}", spare)
    yield from _needs(writer, reader, path)
    yield from _rest(writer, reader, path, spare)
    yield from _counts(writer, reader, path, spare)


def _member(writer: Field, reader: Field, name: str, path: str, spare: str) -> Iterator[Break]:
    """One name: what the writer may put there against what the reader makes of it."""
    named, read = writer.fields or {}, reader.fields or {}
    if name not in read:
        if reader.unknown == "refuse":
            yield Break(path, "removed", smallest(writer, kind=dict, given={name: smallest(named[name])}))
        elif reader.items is not None:
            yield from _wrapped(writer, name, _breaks(named[name], reader.items, path, spare), path, "removed")
        return
    if name not in named:
        if writer.items is not None and writer.length_max != 0:
            yield from _wrapped(writer, name, _breaks(writer.items, read[name], path, spare), path, "added")
    else:
        yield from _wrapped(writer, name, _breaks(named[name], read[name], path, spare), path, None)
    if read[name].required and not read[name].has_default and name not in must(writer):
        yield Break(path, "required" if name in named else "added", smallest(writer, kind=dict))


def _wrapped(writer: Field, name: str, found: Iterator[Break], path: str, what: str | None) -> Iterator[Break]:
    """The breaks of a member, their examples within the smallest object that has it; all named ``what`` if given."""
    for one in found:
        example = one.example
        if example is not UNSET:
            example = smallest(writer, kind=dict, given={name: example})
        yield Break(path if what else one.path, what or one.what, example)


def _needs(writer: Field, reader: Field, path: str) -> Iterator[Break]:
    """A writer's object where something is there and what the reader demands beside it is not."""
    named, read = writer.fields or {}, reader.fields or {}
    always = must(writer)
    for name, one in read.items():
        given: dict[str, Any] = {}
        if not one.has_default and name not in always:
            if name in named:
                given = {name: smallest(named[name])}
            elif writer.items is not None and writer.length_max != 0:
                given = {name: smallest(writer.items)}
            else:
                continue
        there = with_needs(writer, given)
        if any(other not in there and not read[other].has_default for other in one.needs):
            example = smallest(writer, kind=dict, given=given)
            yield Break(f"{path}.{name}", "needs" if name in named else "added", example)


def _rest(writer: Field, reader: Field, path: str, spare: str) -> Iterator[Break]:
    """Members that the writer does not name."""
    if writer.unknown == "refuse" or writer.length_max == 0:
        return
    item = writer.items or ANY
    if reader.unknown == "refuse":
        yield Break(path, "unknown", smallest(writer, kind=dict, given={spare: smallest(item)}))
    elif reader.items is not None:
        same = "items" if writer.items is not None else "unknown"
        for found in _breaks(item, reader.items, f"{path}.*", spare):
            example = UNSET if found.example is UNSET else smallest(writer, kind=dict, given={spare: found.example})
            yield Break(path, "unknown", example) if same == "unknown" else found._replace(example=example)


def _counts(writer: Field, reader: Field, path: str, spare: str) -> Iterator[Break]:
    """How many members there are; only a reader without fields bounds that."""
    base = smallest(writer, kind=dict)
    if len(base) < (reader.length_min or 0):
        yield Break(path, "length", base)
    if reader.length_max is None:
        return
    named = writer.fields or {}
    most = len(named) if writer.unknown == "refuse" else writer.length_max
    if most is None or most > reader.length_max:
        yield Break(path, "length", _crowded(writer, reader.length_max + 1, spare))


def _crowded(writer: Field, size: int, spare: str) -> Any:
    """An object with at least as many members."""
    named, item = writer.fields or {}, writer.items or ANY
    if size * item.weight + sum(one.weight for one in named.values()) > EXAMPLE_ITEMS_MAX:
        return UNSET
    members = {name: smallest(one) for name, one in named.items()}
    if writer.unknown == "keep":
        members.update((f"{spare}_{at}", smallest(item)) for at in range(size - len(members)))
    return smallest(writer, kind=dict, given=members)
