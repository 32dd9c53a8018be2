"""Which numbers a field accepts: exact bounds of its integers and of its floats."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmspell.schemas.field import Field

LARGEST = sys.float_info.max


def integer_range(field: Field) -> tuple[int | None, int | None] | None:
    """The smallest and the largest integer, None without a bound; None altogether when there is no integer."""
    low = None if field.min is None else math.ceil(field.min)
    high = None if field.max is None else math.floor(field.max)
    return None if low is not None and high is not None and low > high else (low, high)


def float_range(field: Field) -> tuple[float, float] | None:
    """The smallest and the largest float; None when there is none."""
    low = -LARGEST if field.min is None else float(field.min)
    high = LARGEST if field.max is None else float(field.max)
    # An integer may lie between two floats; the bound is the one inside.
    if field.min is not None and low < field.min:
        low = math.nextafter(low, math.inf)
    if field.max is not None and high > field.max:
        high = math.nextafter(high, -math.inf)
    return None if low > high or not math.isfinite(low) or not math.isfinite(high) else (low, high)


def integers(low: int | None, high: int | None) -> Iterator[int]:
    """The integers of a range one after the other, those near 0 first where the range has it."""
    at = 0 if low is None else max(low, 0)
    if high is not None and at > high:
        at = high
    start = at
    while high is None or at <= high:
        yield at
        at += 1
    at = start - 1
    while low is None or at >= low:
        yield at
        at -= 1


def floats(low: float, high: float) -> Iterator[float]:
    """Floats of a range, each once: readable ones, then the bounds, then one after the other from the lower one."""
    seen = set()
    for number in (0.0, -0.0, 0.5, 1.0, low, high):
        if low <= number <= high and repr(number) not in seen:
            seen.add(repr(number))
            yield number
    number = low
    while number < high:
        number = math.nextafter(number, math.inf)
        if repr(number) not in seen:
            yield number
