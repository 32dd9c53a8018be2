"""Writing what makes room on a full disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from llmspell.errors import StorageFailed

T = TypeVar("T")
FreeReserve = Callable[[], bool]
"""Gives up the room that is set aside for deleting; False when there is none."""


async def making_room(write: Callable[[], Awaitable[T]], free_reserve: FreeReserve) -> T:
    """What ``write`` gives; where the disk is full it is called again in the room that was set aside. What it writes
    is to be deleted for good, so that a collect gives that room back.
    """
    try:
        return await write()
    except StorageFailed as exc:
        if not is_full(exc) or not free_reserve():
            raise
        return await write()


def is_full(error: BaseException) -> bool:
    """Whether it says that the disk is full."""
    return isinstance(error, StorageFailed) and error.code == "disk-full"
