"""The payloads every side is given: the same bytes for ours, the engine and the peers."""

from __future__ import annotations

import itertools
import pydoc_data.topics
import random
from collections.abc import Iterator

MESSAGE_CHARS = 200
TURN_CHARS = 2048


def english() -> str:
    """About 460 KB of English prose with markup: the language reference that ships with every Python."""
    return "\n".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))


def pieces(chars: int) -> Iterator[str]:
    """Endless consecutive pieces of :func:`english`, wrapping around at a shifted offset."""
    text = english()
    text = text + text[: 2 * chars]
    length = len(text) - chars
    for number in itertools.count():
        start = number * (chars + 1) % length
        yield text[start : start + chars]


def messages(count: int) -> list[dict[str, str]]:
    """``count`` chat messages of 200 characters, user and assistant in turn."""
    parts = pieces(MESSAGE_CHARS)
    return [{"role": "assistant" if i % 2 else "user", "content": next(parts)} for i in range(count)]


def turns(count: int) -> list[str]:
    """``count`` turns of 2 KB English text."""
    return list(itertools.islice(pieces(TURN_CHARS), count))


def incompressible_turns(count: int) -> list[str]:
    """``count`` turns of 2 KB that no compressor shrinks by a quarter: noise over 92 printable characters.

    That is what an encoded or encrypted tool result looks like; quote and backslash are left out, so that JSON adds
    nothing to it.
    """
    rng = random.Random(20)  # the same noise in every run
    alphabet = "".join(chr(code) for code in range(33, 127) if chr(code) not in '"\\')
    return ["".join(rng.choices(alphabet, k=TURN_CHARS)) for _ in range(count)]


def noise(count: int, size: int, *, seed: int = 7) -> list[bytes]:
    """``count`` different incompressible byte strings of ``size``."""
    rng = random.Random(seed)
    return [rng.randbytes(size) for _ in range(count)]
