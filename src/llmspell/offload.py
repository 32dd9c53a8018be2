"""Where long synchronous work runs: in the caller's thread for the synchronous face, on a thread of ours for
asyncio.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")
P = ParamSpec("P")
_THREADS_MAX = 4


class Offload(Protocol):
    """Runs functions that read, hash, compress or wait for a disk."""

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result; the event loop goes on meanwhile."""
        ...

    async def close(self) -> None:
        """Wait for what is running."""
        ...


class Inline:
    """For the synchronous face: runs at once, never suspends."""

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result."""
        return function(*args, **kwargs)

    async def close(self) -> None:
        """Nothing is running."""


class Threads:
    """For asyncio: a few threads, started when first needed. A cancelled await lets the function finish."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result."""
        from asyncio import get_running_loop

        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix="llmspell-work")
        context: Any = copy_context()
        return await get_running_loop().run_in_executor(self._pool, lambda: context.run(function, *args, **kwargs))

    async def close(self) -> None:
        """Wait for what is running."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None
