"""The hooks of one store handle: registering, listing, and running them at a point.

What must stay true: everything about a hook is checked when it is registered; ``armed`` holds a point exactly while it
has an enabled hook, so that a room pays one dict lookup where there is none; failures are counted and reported, and the
reporting itself cannot harm the operation.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

import msgspec

from llmspell.errors import InvalidInput, LimitExceeded, NotFound
from llmspell.hooks.breaker import BreakerConfig
from llmspell.hooks.callers import Caller
from llmspell.hooks.chain import Chain, Composition, Mode
from llmspell.hooks.compose import execute
from llmspell.hooks.context import HookContext
from llmspell.hooks.copies import detached
from llmspell.hooks.hook import Callback, Hook, HookInfo, OnFailure, Priority, priority_of
from llmspell.hooks.judge import Judge
from llmspell.hooks.limits import DEFAULT_LIMITS, HookLimits
from llmspell.hooks.outcome import HookFailure, Outcome
from llmspell.hooks.points import rule_of
from llmspell.hooks.registration import DEFAULT_BREAKER, DefaultBreaker, check_callback, traits_of
from llmspell.hooks.runner import Reload, Run, Setting
from llmspell.model.names import canonical_point
from llmspell.model.telling import told

F = TypeVar("F", bound=Callback)
ReportFailure = Callable[[HookInfo, HookFailure], None]

_depth: ContextVar[int] = ContextVar("llmspell_hook_depth", default=0)


class HookHandle:
    """A registered hook, to unregister it. Letting go of the handle does not do that."""

    __slots__ = ("_hooks", "id", "point")

    def __init__(self, hooks: Hooks, hook_id: str, point: str) -> None:
        self._hooks = hooks
        self.id = hook_id
        self.point = point

    def unregister(self) -> bool:
        """True the first time, False when it was unregistered before."""
        return self._hooks.unregister(self)

    def belongs_to(self, hooks: Hooks) -> bool:
        """Whether it names a hook of this registry; ids of two stores are alike."""
        return self._hooks is hooks

    def __repr__(self) -> str:
        return f"HookHandle(id={self.id!r}, point={self.point!r})"


class Hooks:
    """All hooks of one store handle. Thread-safe; registering takes some µs per hook of the point.

    ``report(info, failure)`` is told of every failure, on the thread of the operation; what it raises is counted in
    ``reports_lost`` and kept from the operation. ``armed`` maps points to their chains; read it, never change it.
    """

    def __init__(
        self,
        caller: Caller,
        *,
        report: ReportFailure | None = None,
        limits: HookLimits = DEFAULT_LIMITS,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.armed: dict[str, Chain] = {}
        self.reports_lost = 0
        self._limits = limits
        self._report = report
        self._monotonic_ns = monotonic_ns
        self._setting = Setting(caller, limits, monotonic_ns, self._failed)
        self._lock = threading.RLock()
        self._hooks: dict[str, Hook] = {}
        self._compositions: dict[str, Composition] = {}
        self._failures: deque[HookFailure] = deque(maxlen=limits.failures_kept)
        self._registered = 0
        self._closed = False

    # --- registering --------------------------------------------------------------------------------------------------

    def on(self, point: str, **options: Any) -> Callable[[F], F]:
        """Decorator form of ``register``, with the same options; gives the function back as it is."""
        canonical_point(point)

        def decorate(callback: F) -> F:
            self.register(point, callback, **options)
            return callback

        return decorate

    def register(
        self,
        point: str,
        callback: Callback,
        *,
        name: str | None = None,
        priority: int | str = Priority.NORMAL,
        timeout_ms: float | None = None,
        on_failure: OnFailure = "allow",
        breaker: BreakerConfig | DefaultBreaker | None = DEFAULT_BREAKER,
        tags: Iterable[str] = (),
        language: str = "python",
        description: str = "",
        version: str = "1.0.0",
    ) -> HookHandle:
        """Call ``callback(context)`` at ``point`` (any spelling of ``model.names``) from now on.

        ``timeout_ms`` is the deadline: 5,000 by default for an async callback; a sync one runs inline without a
        deadline, or with one on a thread of ours, which is abandoned when late. ``on_failure="deny"`` refuses the
        operation when the hook fails, is late, or cannot be asked because its breaker is open; InvalidInput at points
        where nothing can be refused. ``breaker`` None: always called; by default failures and, unless it denies,
        slow calls open it. ``language`` other than ``python``: results may have the shapes of ``parse_result``.

        Raises InvalidInput for anything that breaks a rule, LimitExceeded (``hooks-max``) above the limit.
        """
        canonical = canonical_point(point)
        asynchronous = check_callback(callback)
        traits = traits_of(
            callback,
            canonical,
            self._limits,
            name=name,
            priority=priority,
            timeout_ms=timeout_ms,
            on_failure=on_failure,
            breaker=breaker,
            tags=tags,
            language=language,
            description=description,
            version=version,
        )
        with self._lock:
            self._demand_open()
            if len(self._hooks) >= self._limits.hooks_max:
                raise LimitExceeded(f"there are {self._limits.hooks_max:,} hooks already", code="hooks-max")
            self._registered += 1
            hook = Hook(
                self._registered,
                canonical,
                callback,
                traits,
                is_async=asynchronous,
                async_timeout_ms=self._limits.async_timeout_ms,
                monotonic_ns=self._monotonic_ns,
            )
            self._hooks[hook.id] = hook
            self._arm(canonical)
        return HookHandle(self, hook.id, canonical)

    def unregister(self, which: HookHandle | str) -> bool:
        """Stop calling a hook, named by handle, id or unique name. False when there is none such (any more).

        Runs that have begun still ask it.
        """
        with self._lock:
            try:
                hook = self._find(which)
            except NotFound:
                return False
            del self._hooks[hook.id]
            self._arm(hook.point)
            return True

    def enable(self, which: HookHandle | str) -> None:
        """Call it again. Raises NotFound (``hook-not-found``), InvalidInput when several have that name."""
        self._switch(which, enabled=True)

    def disable(self, which: HookHandle | str) -> None:
        """Keep it, but do not call it. Raises as ``enable`` does."""
        self._switch(which, enabled=False)

    def compose(self, point: str, mode: Mode = "sequential", *, threshold: float = 0.5) -> None:
        """How the hooks of a point decide together (``Composition``); counts for runs that begin later."""
        composition = Composition(mode, threshold)
        canonical = canonical_point(point)
        with self._lock:
            self._demand_open()
            self._compositions[canonical] = composition
            self._arm(canonical)

    def list(
        self,
        point: str | None = None,
        *,
        language: str | None = None,
        tag: str | None = None,
        priority: int | str | None = None,
    ) -> list[HookInfo]:
        """The hooks that fit all that is given, in the order they are called; disabled ones included."""
        wanted = None if point is None else canonical_point(point)
        level = None if priority is None else priority_of(priority)
        with self._lock:
            hooks = sorted(self._hooks.values(), key=lambda hook: hook.order)
        infos = [hook.info() for hook in hooks if wanted in {None, hook.point}]
        return [
            info
            for info in infos
            if language in {None, info.language}
            and level in {None, info.priority}
            and (tag is None or tag in info.tags)
        ]

    def info(self, which: HookHandle | str) -> HookInfo:
        """One hook with its counters. Raises NotFound (``hook-not-found``)."""
        with self._lock:
            return self._find(which).info()

    def failures(self) -> tuple[HookFailure, ...]:
        """The newest failures, oldest first, ``HookLimits.failures_kept`` at most; without their ``error``."""
        with self._lock:
            return tuple(self._failures)

    # --- running ------------------------------------------------------------------------------------------------------

    async def run(self, point: str, context: HookContext, *, reload: Reload | None = None) -> Outcome:
        """Ask the hooks of a canonical point and give what they decided. Does not raise for a Cancel: see the outcome.

        ``reload(target)`` gives fresh data when a hook redirects to another target, ``reload(None)`` after a retry's
        wait; without it, the fields that would be stale are left out. Raises LimitExceeded (``hook-depth``) for runs
        nested deeper than the limit, InvalidInput for a context that does not fit the point or holds no JSON values.
        """
        chain = self.armed.get(point)
        if chain is None:
            return Outcome(point, context.data)
        if context.point != point:
            raise InvalidInput(f"the context is for {context.point}, not for {point}", code="invalid-context")
        depth = _depth.get() + 1
        if depth > self._limits.depth_max:
            raise LimitExceeded(
                f"hooks of {point} are nested {depth - 1} deep",
                code="hook-depth",
                hint="a hook does what triggers itself; look at context.data, or do it after the operation",
            )
        env = copy_context()
        env.run(_depth.set, depth)
        return await execute(Run(self._setting, chain, context, env=env, depth=depth, reload=reload))

    async def trigger(
        self,
        point: str,
        data: dict[str, Any] | None = None,
        *,
        component: str = "custom",
        operation: str | None = None,
        session: str | None = None,
        metadata: dict[str, Any] | None = None,
        correlation_id: str | None = None,
        cause: int | None = None,
    ) -> Outcome:
        """Run a custom point, or a moment of an agent, tool or workflow, that the caller owns; the outcome is theirs.

        ``data`` and ``metadata`` are JSON values. Raises InvalidInput for points of the store's rooms
        (``reserved-point``), which only those trigger.
        """
        canonical = canonical_point(point)
        if not rule_of(canonical).handed:
            raise InvalidInput(f"{canonical} is triggered by the store itself", code="reserved-point")
        given = {
            "point": canonical,
            "component": component,
            "operation": canonical if operation is None else operation,
            "data": {} if data is None else data,
            "session": session,
            "metadata": {} if metadata is None else metadata,
            "correlation_id": correlation_id,
            "cause": cause,
        }
        own = detached(given, self._limits.result_bytes_max)
        try:
            context = msgspec.convert(own, HookContext)
        except msgspec.ValidationError as exc:
            raise InvalidInput(f"a hook's context: {exc}", code="invalid-context") from exc
        return await self.run(canonical, context)

    def close(self) -> None:
        """Call no hook any more and let go of threads."""
        with self._lock:
            self._closed = True
            self.armed.clear()
        self._setting.caller.close()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _demand_open(self) -> None:
        if self._closed:
            raise InvalidInput("the store is closed", code="closed")

    def _arm(self, point: str) -> None:
        hooks = tuple(
            sorted((h for h in self._hooks.values() if h.point == point and h.enabled), key=lambda hook: hook.order)
        )
        if hooks and not self._closed:
            judge = Judge(point, rule_of(point), self._limits)
            self.armed[point] = Chain(hooks, self._compositions.get(point, Composition()), judge)
        else:
            self.armed.pop(point, None)

    def _switch(self, which: HookHandle | str, *, enabled: bool) -> None:
        with self._lock:
            hook = self._find(which)
            hook.enabled = enabled
            self._arm(hook.point)

    def _find(self, which: HookHandle | str) -> Hook:
        by_handle = isinstance(which, HookHandle)
        wanted: object = which.id if isinstance(which, HookHandle) else which
        if isinstance(wanted, str) and not (isinstance(which, HookHandle) and not which.belongs_to(self)):
            if wanted in self._hooks:
                return self._hooks[wanted]
            named = [] if by_handle else [h for h in self._hooks.values() if h.name == wanted]
            if len(named) == 1:
                return named[0]
            if named:
                ids = ", ".join(hook.id for hook in named)
                raise InvalidInput(
                    f"{len(named)} hooks are named {wanted!r}: {ids}", code="ambiguous-hook", hint="give the id"
                )
        raise NotFound(f"there is no hook {told(wanted)}", code="hook-not-found")

    def _failed(self, hook: Hook, failure: HookFailure) -> None:
        with self._lock:  # without the error: its traceback would keep alive what every frame of it held
            self._failures.append(msgspec.structs.replace(failure, error=None))
        if self._report is None:
            return
        try:
            self._report(hook.info(), failure)
        except Exception:  # noqa: BLE001 - counted; the hook's failure stays in `failures` and in its counters
            with self._lock:
                self.reports_lost += 1
