"""Texts that stand in base64 inside another text, wherever they begin in it.

A token is often a part of something longer whose characters are of the same alphabet: a segment of a path
(``…/callback/Z2hw…``), behind a dash, a letter left over from an escape. So every run of that alphabet is decoded four
times, once for each place within a group of four at which a token may begin, and of what comes out only stretches
that are text count: decoding at the wrong place gives noise. All of it is linear in the text.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Iterator

_RUN = re.compile(r"([A-Za-z0-9+/_-]{16,}+)={0,2}")
_LETTERS = re.compile(rb"[\t-\r -~]{8}").search
"""Looked for first, being quicker: every secret has eight characters of ASCII in a row, and noise seldom has."""
_TEXT = re.compile(rb"(?:[\t-\r -~]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}){8,}+")


def base64_texts(text: str) -> Iterator[tuple[int, int, str]]:
    """Start and end of each piece that stands for text, and that text; pieces of one run may overlap.

    A separator beside a token never spoils its ends: decoded, it is no letter or digit. A run is looked at no further
    when three quarters of it stood for text: the text is at most one and a half times as long in all as what is given.
    """
    for match in _RUN.finditer(text):
        run = match[1].replace("-", "+").replace("_", "/")
        left = len(run) * 9 // 16
        for shift in range(4):
            if left <= 0:
                break
            body = run[shift:] if (len(run) - shift) % 4 != 1 else run[shift:-1]
            data = a2b_base64(body + "=" * (-len(body) % 4))
            if _LETTERS(data) is None:
                continue
            begin = match.start() + shift
            for part in _TEXT.finditer(data):
                left -= part.end() - part.start()
                end = match.end() if part.end() == len(data) else begin - (-part.end() * 4 // 3)
                yield begin + part.start() * 4 // 3, end, part[0].decode(errors="replace")
