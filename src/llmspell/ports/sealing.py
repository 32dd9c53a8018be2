"""The port under an encrypted store: what seals its pages, the pieces of its packs, and the head of its journal.

Contract: what was sealed for a place is opened in that place only, by whoever has the key; anything else gives None.
Sealing twice gives different bytes. Lengths depend on lengths alone. Threads may share it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from llmspell.model.entry import Head

Buffer = bytes | memoryview


class StoreCipher(Protocol):
    """Seals everything that one store writes to its files."""

    page_extra_bytes: int
    """By so much is a sealed page longer than what it holds."""

    def seal_page(self, file: str, number: int, text: bytes) -> bytes:
        """A page of a file."""
        ...

    def open_page(self, file: str, number: int, sealed: bytes) -> bytes | None:
        """The inverse; None for anything that was not sealed by this key for this page of this file."""
        ...

    def seal_piece(self, pack: str, position: int, piece: Buffer) -> bytes:
        """A piece of a pack, to lie at ``position``. Its length is ``piece_bytes`` of the piece's."""
        ...

    def open_piece(self, pack: str, position: int, sealed: bytes) -> bytes | None:
        """The inverse; None as for ``open_page``."""
        ...

    def piece_bytes(self, size: int) -> int:
        """How long a sealed piece of ``size`` bytes is."""
        ...

    def mark(self, timeline: str, head: Head) -> bytes:
        """What only a holder of the key can put on the journal's head."""
        ...

    def check_mark(self, timeline: str, head: Head, mark: bytes) -> None:
        """Raises Corrupt (``head-mark``) unless ``mark`` is that of this head."""
        ...


class Vault(Protocol):
    """Where the cipher of an encrypted store comes from."""

    def unlock(self, store_id: str, folder: Path) -> StoreCipher:
        """The cipher of an existing store. Raises WrongKey; nothing in ``folder`` is touched."""
        ...

    def make(self, store_id: str, folder: Path) -> StoreCipher:
        """The cipher of a store that is being made; its key is durable. Raises what making a key raises."""
        ...
