"""Texts that stand in base64 inside another text, wherever they begin in it.

A token is often a part of something longer whose characters are of the same alphabet: a segment of a path
(``…/callback/Z2hw…``), behind a dash, a letter left over from an escape. So every run of that alphabet is decoded four
times, once for each place within a group of four at which a token may begin, and of what comes out only stretches
that are text count: decoding at the wrong place gives noise. All of it is linear in the text.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate

_RUN = re.compile(r"([A-Za-z0-9+/_-]{16,}+)={0,2}")
_LETTERS = re.compile(rb"[\t-\r -~]{8}").search
"""Looked for first, being quicker: every secret has eight characters of ASCII in a row, and noise seldom has."""
_TEXT = re.compile(rb"(?:[\t-\r -~]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}){8,}+")
_WRAPPED = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{60,100}+(?:\r?\n[ \t]{0,8}[A-Za-z0-9+/_-]{1,100}+)++={0,2}")
_LINE = re.compile(r"[A-Za-z0-9+/_=-]++")


def base64_texts(text: str) -> Iterator[tuple[int, int, str]]:
    """Start and end of each piece that stands for text, and that text; pieces may overlap.

    A separator beside a token never spoils its ends: decoded, it is no letter or digit. A run is looked at no further
    when three quarters of it stood for text. What is wrapped into lines is looked at line by line and as a whole: the
    texts are at most three times as long in all as what is given.
    """
    for match in _RUN.finditer(text):
        at = match.start()
        for start, end, found in _texts(match[1], match.end() - at):
            yield at + start, at + end, found
    if "\n" not in text:
        return
    for match in _WRAPPED.finditer(text):
        lines = list(_LINE.finditer(text, match.start(), match.end()))
        begins = [0, *accumulate(len(line[0]) for line in lines)]
        run = "".join(line[0] for line in lines)
        for start, end, found in _texts(run.rstrip("="), len(run)):
            first, last = bisect(begins, start) - 1, bisect(begins, end - 1) - 1
            yield lines[first].start() + start - begins[first], lines[last].start() + end - begins[last], found


def _texts(letters: str, length: int) -> Iterator[tuple[int, int, str]]:
    """The same of one run, whose letters have ``=`` behind them up to its length."""
    run = letters.replace("-", "+").replace("_", "/")
    left = len(run) * 9 // 16
    for shift in range(4):
        if left <= 0:
            break
        body = run[shift:] if (len(run) - shift) % 4 != 1 else run[shift:-1]
        data = a2b_base64(body + "=" * (-len(body) % 4))
        if _LETTERS(data) is None:
            continue
        for part in _TEXT.finditer(data):
            left -= part.end() - part.start()
            end = length if part.end() == len(data) else shift - (-part.end() * 4 // 3)
            yield shift + part.start() * 4 // 3, end, part[0].decode(errors="replace")
