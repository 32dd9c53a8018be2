"""Content that is kept encrypted by its session's key, in frames, so that it needs no more memory than one.

    magic    18 bytes
    token    16 random bytes
    frames   each 4 bytes of length, big-endian, and a sealed record of at most 1 MiB of content

The place of a frame says the token, its number and whether it is the last: frames that are cut off, swapped, or of
another artifact are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from llmspell.errors import Corrupt, LlmspellError
from llmspell.model.ids import secret_bytes

MIME = "application/vnd.llmspell.sealed"
"""The type of an artifact that is sealed; its field ``sealed`` of the metadata has that of the content."""
FRAME_BYTES = 1 << 20
_MAGIC = b"llmspell sealed 1\n"
_TOKEN_BYTES = 16
_LENGTH_BYTES = 4
_ELSEWHERE = frozenset(("sealed-mismatch", "key-missing"))
"""What is said of a record that was sealed in another place."""
Cipher = Callable[[str, bytes], bytes]
"""Seals, or opens, the bytes at a path within the session's scope."""


class Seal:
    """Seals content that comes in pieces."""

    def __init__(self, seal: Cipher) -> None:
        self._seal = seal
        self._token = secret_bytes(_TOKEN_BYTES)
        self._waiting = bytearray()
        self._number = 0

    def feed(self, piece: bytes) -> bytes:
        """The next bytes of the sealed content."""
        self._waiting += piece
        out = bytearray()
        while len(self._waiting) > FRAME_BYTES:
            out += self._frame(bytes(self._waiting[:FRAME_BYTES]), last=False)
            del self._waiting[:FRAME_BYTES]
        return bytes(out)

    def finish(self) -> bytes:
        """The rest."""
        return self._frame(bytes(self._waiting), last=True)

    def _frame(self, text: bytes, *, last: bool) -> bytes:
        sealed = self._seal(_path(self._token, self._number, last=last), text)
        head = b"" if self._number else _MAGIC + self._token
        self._number += 1
        return head + len(sealed).to_bytes(_LENGTH_BYTES) + sealed


def opened(sealed: bytes, unseal: Cipher) -> bytes:
    """The content again. Raises Corrupt, and what ``unseal`` raises."""
    start = len(_MAGIC) + _TOKEN_BYTES
    if not sealed.startswith(_MAGIC) or len(sealed) < start:
        raise Corrupt("this is no sealed content", code="sealed-cut")
    token = sealed[len(_MAGIC) : start]
    frames = list(_frames(sealed, start))
    return b"".join(
        unseal(_path(token, number, last=number == len(frames) - 1), frame) for number, frame in enumerate(frames)
    )


def by_any(openers: Sequence[Cipher]) -> Cipher:
    """Opens what was sealed in one of several places, the likeliest first. Raises what the first of them raises."""

    def unseal(path: str, frame: bytes) -> bytes:
        refused: LlmspellError | None = None
        for opener in openers:
            try:
                return opener(path, frame)
            except LlmspellError as exc:
                if exc.code not in _ELSEWHERE:
                    raise
                refused = refused or exc
        raise refused or Corrupt("there is no place that it could be of", code="sealed-cut")

    return unseal


def _frames(sealed: bytes, at: int) -> Iterator[bytes]:
    while True:
        end = at + _LENGTH_BYTES + int.from_bytes(sealed[at : at + _LENGTH_BYTES])
        if at + _LENGTH_BYTES > len(sealed) or end > len(sealed):
            raise Corrupt("sealed content ends inside of a frame", code="sealed-cut")
        yield sealed[at + _LENGTH_BYTES : end]
        at = end
        if at == len(sealed):
            return


def _path(token: bytes, number: int, *, last: bool) -> str:
    return f"captured/{token.hex()}/{number}/{'last' if last else 'more'}"
