"""Daemon threads for sync callbacks that have a deadline.

Python cannot stop a thread, so a callback that hangs keeps its thread: it is abandoned, counted on its hook, and new
calls of that hook are refused once too many are stuck. The threads are daemons (a pool whose threads are joined at exit
would let one hook keep the process from ending), are reused, and end after a while without work.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextvars import Context
from types import CoroutineType

from llmspell.errors import LimitExceeded
from llmspell.hooks.context import HookContext
from llmspell.hooks.hook import Hook
from llmspell.hooks.pending import Pending, Raised

IDLE_S = 10.0


class Job(Pending):
    """One call of a hook on a worker."""

    __slots__ = ("_counted", "_env", "_hook", "_shown")

    def __init__(self, hook: Hook, env: Context, shown: HookContext, monotonic_ns: Callable[[], int]) -> None:
        super().__init__(monotonic_ns)
        self._hook = hook
        self._env = env
        self._shown = shown
        self._counted = False

    def run(self) -> None:
        """Call the callback, on the worker's thread."""
        try:
            value = self._env.run(self._hook.callback, self._shown)
        except BaseException as exc:  # noqa: BLE001 - the runner judges every kind; the thread goes on
            value = Raised(exc)
        self.set(value)
        if self._counted:
            self._hook.unstick()
            if type(value) is CoroutineType:
                value.close()  # nobody will await it

    def _abandoned(self) -> None:
        self._counted = True
        self._hook.stick()


class Workers:
    """The threads of one caller."""

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._closed = False

    def start(self, hook: Hook, env: Context, shown: HookContext, stuck_max: int) -> Job | Raised:
        """Begin a call; Raised (``hook-stuck``) when too many of this hook's calls never came back."""
        if hook.stuck >= stuck_max:
            error = LimitExceeded(f"{hook.stuck} earlier calls of it have not come back yet", code="hook-stuck")
            return Raised(error, error.code)
        job = Job(hook, env, shown, self._monotonic_ns)
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        if worker is None:
            worker = _Worker(self)
            worker.start()
        worker.jobs.put(job)
        return job

    def close(self) -> None:
        """End idle threads; busy ones end with their job."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.jobs.put(None)

    def rejoin(self, worker: _Worker) -> bool:
        """A worker has nothing to do. False: it is to end."""
        with self._lock:
            if not self._closed:
                self._idle.append(worker)
            return not self._closed

    def leave(self, worker: _Worker) -> bool:
        """A worker was idle for long. False: it was given a job at this moment."""
        with self._lock:
            if worker in self._idle:
                self._idle.remove(worker)
                return True
            return False


class _Worker(threading.Thread):
    def __init__(self, owner: Workers) -> None:
        super().__init__(name="llmspell-hook", daemon=True)
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._owner = owner

    def run(self) -> None:
        while True:
            job = self._next()
            if job is None:
                return
            job.run()
            del job  # what it was shown is not kept alive while idle
            if not self._owner.rejoin(self):
                return

    def _next(self) -> Job | None:
        while True:
            try:
                return self.jobs.get(timeout=IDLE_S)
            except queue.Empty:
                if self._owner.leave(self):
                    return None
