"""One run of a point's hooks: calls them, judges their answers, keeps their failures away from the operation.

What must stay true: every admitted call gives its breaker's ticket back exactly once; nothing a hook raises leaves
here but KeyboardInterrupt; a hook that denies when it fails also denies when its breaker keeps it from being asked.
How the answers of several hooks are put together is ``compose``'s affair.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any

from llmspell.errors import InvalidInput, LimitExceeded, LlmspellError
from llmspell.hooks.breaker import REFUSED
from llmspell.hooks.callers import Call, Caller, awaitable
from llmspell.hooks.chain import Chain
from llmspell.hooks.context import HookContext
from llmspell.hooks.copies import copier
from llmspell.hooks.hook import Hook
from llmspell.hooks.limits import HookLimits
from llmspell.hooks.outcome import HookFailure, Outcome, Record
from llmspell.hooks.pending import Raised
from llmspell.hooks.results import Cancel, HookResult, Redirect, Retry, Skipped, result_name

Reload = Callable[[str | None], Awaitable[dict[str, Any]]]
"""Gives a context's data anew: about another target, or with None about the same one after a wait."""

Report = Callable[[Hook, HookFailure], None]
Answer = tuple[Hook, HookResult | None, str]
"""A hook, its result (None: go on) and the verdict on its call."""


class Setting:
    """What all runs of a registry share."""

    __slots__ = ("caller", "limits", "monotonic_ns", "report")

    def __init__(self, caller: Caller, limits: HookLimits, monotonic_ns: Callable[[], int], report: Report) -> None:
        self.caller = caller
        self.limits = limits
        self.monotonic_ns = monotonic_ns
        self.report = report


class Unsettled:
    """A sync callback gave something to await."""

    __slots__ = ("call", "start", "ticket", "value")

    def __init__(self, value: Any, call: Call, ticket: int, start: int) -> None:
        self.value = value
        self.call = call
        self.ticket = ticket
        self.start = start


class Run:
    """One run. ``env`` is the context that callbacks get copies of, ``depth`` how deep it is nested (1 = not)."""

    __slots__ = (
        "_begun",
        "_context",
        "_copy",
        "_depth",
        "_env",
        "_records",
        "_redirected_to",
        "_redirects",
        "_reload",
        "_retries",
        "_setting",
        "_waited_ms",
        "chain",
        "changed",
        "data",
        "judge",
    )

    def __init__(
        self, setting: Setting, chain: Chain, context: HookContext, *, env: Context, depth: int, reload: Reload | None
    ) -> None:
        self._setting = setting
        self._context = context
        self._env = env
        self._depth = depth
        self._reload = reload
        self._records: list[Record] = []
        self._retries: dict[Hook, int] = {}
        self._waited_ms = self._redirects = 0
        self._redirected_to: str | None = None
        self.chain = chain
        self.judge = chain.judge
        self.data = context.data
        self._begin(context.data)

    # --- asking -------------------------------------------------------------------------------------------------------

    def ask_inline(self, hook: Hook) -> HookResult | Unsettled | None:
        """Call a sync callback without a deadline; None: go on."""
        breaker = hook.breaker
        ticket = 0
        if breaker is not None:
            ticket = breaker.ticket  # before `closed`: a change in between makes the ticket stale, never wrongly fresh
            if not breaker.closed:
                ticket = breaker.admit()
                if ticket == REFUSED:
                    return self._barred(hook)
        env = self._env.copy()
        shown = self._shown()
        monotonic_ns = self._setting.monotonic_ns
        start = monotonic_ns()
        try:
            value = env.run(hook.callback, shown)
        except BaseException as exc:  # noqa: BLE001 - `_failed` lets KeyboardInterrupt through
            value = Raised(exc)
        elapsed_ns = monotonic_ns() - start
        if value is None and (breaker is None or (breaker.closed and elapsed_ns < breaker.slow_ns)):
            hook.count(elapsed_ns)  # what `_answered` would do, on the path that is to cost nothing
            self._records.append((hook, "continue", elapsed_ns, ""))
            return None
        if awaitable(value):
            return Unsettled(value, Call(hook, shown, env, self._depth), ticket, start)
        return self._answered(hook, ticket, elapsed_ns, value)

    async def settle(self, pending: Unsettled) -> HookResult | None:
        """Await what a sync callback gave; None: go on."""
        call = pending.call
        return await self._await(self._setting.caller.settle(pending.value, call), call, pending.ticket, pending.start)

    async def ask(self, hook: Hook) -> HookResult | None:
        """Call a callback that has a deadline; None: go on."""
        admitted = self._admit(hook)
        if not isinstance(admitted, tuple):
            return admitted
        ticket, call = admitted
        return await self._await(self._setting.caller.call(call), call, ticket, self._setting.monotonic_ns())

    async def _await(self, coming: Awaitable[Any], call: Call, ticket: int, start: int) -> HookResult | None:
        try:
            value = await coming
        except BaseException:
            self._withdraw(call.hook, ticket)
            raise
        return self._answered(call.hook, ticket, self._setting.monotonic_ns() - start, value)

    async def ask_all(self) -> list[Answer]:
        """Call all hooks at once on the same data; answers in order."""
        answers: dict[Hook, Answer] = {}
        admitted: dict[Hook, tuple[int, Call]] = {}
        for hook in self.chain.hooks:
            admission = self._admit(hook)
            if isinstance(admission, tuple):
                admitted[hook] = admission
            else:
                answers[hook] = (hook, admission, self._records[-1][1])
        try:
            timed = await self._setting.caller.call_all([call for _, call in admitted.values()])
            for hook, (value, elapsed_ns) in zip(list(admitted), timed, strict=True):
                ticket, _ = admitted.pop(hook)
                result = self._answered(hook, ticket, elapsed_ns, value)
                answers[hook] = (hook, result, self._records[-1][1])
        finally:
            for hook, (ticket, _) in admitted.items():
                self._withdraw(hook, ticket)
        return [answers[hook] for hook in self.chain.hooks]

    def _admit(self, hook: Hook) -> tuple[int, Call] | HookResult | None:
        ticket = 0 if hook.breaker is None else hook.breaker.admit()
        if ticket == REFUSED:
            return self._barred(hook)
        return ticket, Call(hook, self._shown(), self._env.copy(), self._depth)

    def _shown(self) -> HookContext:
        context = self._context
        metadata = context.metadata
        return HookContext(
            context.point,
            context.component,
            context.operation,
            self._copy(),
            context.session,
            metadata.copy() if metadata else {},
            context.correlation_id,
            context.cause,
        )

    def _withdraw(self, hook: Hook, ticket: int) -> None:
        if hook.breaker is not None:
            hook.breaker.withdrawn(ticket)

    # --- judging ------------------------------------------------------------------------------------------------------

    def _answered(self, hook: Hook, ticket: int, elapsed_ns: int, value: Any) -> HookResult | None:
        result: HookResult | None = None
        if value is not None:
            if type(value) is Raised:
                return self._failed(hook, ticket, elapsed_ns, value.error, value.code)
            try:
                result = self.judge.accept(value, self.data, script=hook.script)
                if result is not None and not self.judge.rule.handed:
                    self._demand_within_limits(hook, result)
            except BaseException as exc:  # noqa: BLE001 - what a hook returned may raise anything when touched
                code = exc.code if isinstance(exc, LlmspellError) else InvalidInput.code
                return self._failed(hook, ticket, elapsed_ns, exc, code)
        hook.count(elapsed_ns)
        breaker = hook.breaker
        if breaker is not None and (elapsed_ns >= breaker.slow_ns or not breaker.closed):
            was_closed = breaker.closed
            breaker.passed(ticket, elapsed_ns)
            if was_closed and not breaker.closed:
                self._tell(hook, "circuit-open", "its calls are slow; it is not called for a while", elapsed_ns, None)
        if result is None:
            self._records.append((hook, "continue", elapsed_ns, ""))
            return None
        reason = result.reason if isinstance(result, Cancel | Skipped) else ""
        self._records.append((hook, result_name(type(result)), elapsed_ns, reason))
        return None if type(result) is Skipped else result

    def _demand_within_limits(self, hook: Hook, result: HookResult) -> None:
        limits = self._setting.limits
        if type(result) is Retry:
            if self._retries.get(hook, 0) >= result.attempts:
                raise LimitExceeded(f"still asks to retry after {result.attempts} attempts", code="retries-exhausted")
            if sum(self._retries.values()) >= limits.retries_max:
                raise LimitExceeded(
                    f"more than {limits.retries_max} retries of one operation", code="retries-exhausted"
                )
            if self._waited_ms + result.delay_ms > limits.retry_wait_ms_max:
                raise LimitExceeded(
                    f"its delays would add up to more than {limits.retry_wait_ms_max:,} ms", code="retries-exhausted"
                )
        elif type(result) is Redirect and self._redirects >= limits.redirects_max:
            raise LimitExceeded(f"more than {limits.redirects_max} redirects of one operation", code="redirect-loop")

    def _failed(self, hook: Hook, ticket: int, elapsed_ns: int, error: BaseException, code: str) -> HookResult | None:
        if isinstance(error, KeyboardInterrupt):
            self._withdraw(hook, ticket)
            raise error
        message = self._describe(error)
        hook.count_failure(elapsed_ns, message)
        if hook.breaker is not None:
            hook.breaker.failed(ticket)
        self._records.append((hook, "failed", elapsed_ns, message))
        self._tell(hook, code, message, elapsed_ns, error)
        return Cancel(f"the hook {hook.name!r} failed: {message}") if hook.denies else None

    def _barred(self, hook: Hook) -> HookResult | None:
        hook.count_skip()
        self._records.append((hook, "barred", 0, "its circuit breaker is open"))
        return Cancel(f"the hook {hook.name!r} cannot be asked: its circuit breaker is open") if hook.denies else None

    def _describe(self, error: BaseException) -> str:
        try:
            text = f"{type(error).__name__}: {error}"
        except BaseException:  # noqa: BLE001 - a hostile __str__
            text = type(error).__name__
        return text[: self._setting.limits.reason_chars_max].encode(errors="replace").decode()

    def _tell(self, hook: Hook, code: str, message: str, elapsed_ns: int, error: BaseException | None) -> None:
        self._setting.report(
            hook,
            HookFailure(
                hook_id=hook.id,
                name=hook.name,
                point=hook.point,
                code=code,
                message=message,
                elapsed_ms=elapsed_ns / 1e6,
                on_failure=hook.traits.on_failure,
                breaker=None if hook.breaker is None else hook.breaker.state,
                session=self._context.session,
                correlation_id=self._context.correlation_id,
                error=error,
            ),
        )

    # --- what follows -------------------------------------------------------------------------------------------------

    def modify(self, fields: dict[str, Any]) -> None:
        """Change fields of the data; hooks asked from now on see it."""
        self.data = self.data | fields
        self.changed |= fields.keys()
        self._copy = copier(self.data)

    def overrule(self, hook: Hook) -> None:
        """Another hook's result stands instead of this one's newest."""
        for index in range(len(self._records) - 1, -1, -1):
            record = self._records[index]
            if record[0] is hook:
                self._records[index] = (hook, "overruled", record[2], f"its {record[1]} did not stand")
                return

    async def retry(self, hook: Hook, wanted: Retry) -> None:
        """Wait as the hook asked, then begin again with what the operation came with."""
        self._retries[hook] = self._retries.get(hook, 0) + 1
        self._waited_ms += wanted.delay_ms
        await self._setting.caller.pause(wanted.delay_ms)
        self._begin(self._begun if self._reload is None else await self._reload(None))

    async def redirect(self, target: str) -> None:
        """Begin again with what the operation came with, about another target."""
        rule = self.judge.rule
        self._redirects += 1
        self._redirected_to = target
        if self._reload is not None:
            data = await self._reload(target)
        else:
            data = {name: value for name, value in self._begun.items() if name not in rule.stale}
        self._begin(data | {str(rule.target): target})

    def outcome(self, hook: Hook | None, decision: HookResult | None) -> Outcome:
        """What it all came to."""
        return Outcome(
            point=self._context.point,
            data=self.data,
            changed=frozenset(self.changed),
            decision=decision,
            by=None if hook is None else hook.name,
            redirected_to=self._redirected_to,
            records=tuple(self._records),
        )

    def _begin(self, data: dict[str, Any]) -> None:
        self._begun = self.data = data
        self._copy = copier(data)
        self.changed: set[str] = set()
