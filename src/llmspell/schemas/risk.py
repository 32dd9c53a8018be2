"""How much can go wrong with a change."""

from __future__ import annotations

from enum import IntEnum


class Risk(IntEnum):
    """Ordered, so that the risk of several changes is the ``max`` of theirs."""

    LOW = 1
    """Adds; what is there stays readable."""
    MEDIUM = 2
    """Older readers are affected, or values move without loss."""
    HIGH = 3
    """Values that are stored now may be refused, or cannot be turned back by computing."""
    CRITICAL = 4
    """Data is dropped or overwritten."""

    @property
    def label(self) -> str:
        """The name in lower case, as shown and stored."""
        return self.name.lower()
