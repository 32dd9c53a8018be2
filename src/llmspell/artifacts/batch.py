"""Batches: what became of each of many puts or gets. One that fails does not keep the others from being done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from llmspell.errors import LlmspellError

T = TypeVar("T")
GROUP_ITEMS = 64
"""Puts that are committed together."""


@dataclass(frozen=True, slots=True)
class BatchItem(Generic[T]):
    """One item of a batch: its place and name in what was asked, and its ``result`` or its ``error``."""

    index: int
    name: str
    result: T | None = None
    error: LlmspellError | None = None

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.error is None

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types, without content."""
        found: dict[str, Any] = {"index": self.index, "name": self.name, "ok": self.ok}
        if self.error is not None:
            return found | {"error": {"code": self.error.code, "message": self.error.message}}
        info: Any = getattr(self.result, "info", self.result)
        return found | {"artifact": info.to_dict() if hasattr(info, "to_dict") else None}


@dataclass(frozen=True, slots=True)
class BatchReport(Generic[T]):
    """What became of a batch, an item for each that was asked, in that order."""

    items: list[BatchItem[T]]

    def __iter__(self) -> Iterator[BatchItem[T]]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def ok(self) -> bool:
        """Whether all were done."""
        return all(item.ok for item in self.items)

    @property
    def results(self) -> list[T]:
        """Results of those that were done."""
        return [item.result for item in self.items if item.result is not None]

    @property
    def failed(self) -> list[BatchItem[T]]:
        """Those that were not."""
        return [item for item in self.items if not item.ok]

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "ok": self.ok, "done": len(self.items) - len(self.failed), "failed": len(self.failed),
            "items": [item.to_dict() for item in self.items],
        }  # fmt: skip
