"""How the answers of a point's hooks become one outcome: in turn, the first that speaks, all at once, by vote.

What must stay true: a Cancel is never lost to a change or a decision of another hook of the same standing; Redirect and
Retry begin the chain again from the data the operation came with, so that every hook judges what is really going to be
done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from llmspell.hooks.chain import Mode
from llmspell.hooks.hook import Hook
from llmspell.hooks.outcome import Outcome
from llmspell.hooks.results import Cancel, Continue, HookResult, Modified, Redirect, Retry
from llmspell.hooks.runner import Answer, Run, Unsettled

Decision = tuple[Hook, HookResult] | None
"""The result that ended a pass over the hooks, and whose it is; None: go on with ``run.data``."""

_ballot = msgspec.json.Encoder(order="deterministic").encode


async def execute(run: Run) -> Outcome:
    """Passes over the hooks until there is nothing to begin again for."""
    decide = _DECIDE[run.chain.composition.mode]
    while True:
        decision = await decide(run)
        if decision is None:
            return run.outcome(None, None)
        hook, result = decision
        if run.judge.rule.handed or not isinstance(result, Retry | Redirect):
            return run.outcome(hook, result)
        if isinstance(result, Retry):
            await run.retry(hook, result)
        else:
            await run.redirect(result.target)


async def sequential(run: Run) -> Decision:
    """Each hook sees what those before it changed; a decision ends the pass."""
    for hook in run.chain.hooks:
        answer = run.ask_inline(hook) if hook.inline else await run.ask(hook)
        if answer is None:
            continue
        if isinstance(answer, Unsettled):
            answer = await run.settle(answer)
        if isinstance(answer, Modified):
            run.modify(answer.data)
        elif answer is not None:
            return hook, answer
    return None


async def first_match(run: Run) -> Decision:
    """The first hook that changes or decides anything is the last one asked."""
    for hook in run.chain.hooks:
        answer = run.ask_inline(hook) if hook.inline else await run.ask(hook)
        if isinstance(answer, Unsettled):
            answer = await run.settle(answer)
        if isinstance(answer, Modified):
            run.modify(answer.data)
            return None
        if answer is not None:
            return hook, answer
    return None


async def parallel(run: Run) -> Decision:
    """Any Cancel refuses, else the first decision in order; of two changes of one field, the first in order stands."""
    answers = await run.ask_all()
    decisions = [
        (hook, result) for hook, result, _ in answers if result is not None and not isinstance(result, Modified)
    ]
    decision = next((each for each in decisions if isinstance(each[1], Cancel)), decisions[0] if decisions else None)
    for hook, decided in decisions:
        if decision is not None and hook is not decision[0] and not isinstance(decided, Cancel):
            run.overrule(hook)
    taken: dict[str, object] = {}
    for hook, result, _ in answers:
        if isinstance(result, Modified):
            if taken.keys() & result.data.keys():
                run.overrule(hook)
            taken = result.data | taken
    if taken:
        run.modify(taken)
    return decision


async def voting(run: Run) -> Decision:
    """The largest ballot whose share reaches the threshold stands; when none does, all goes on unchanged."""
    ballots: dict[bytes, list[Answer]] = {}
    for answer in await run.ask_all():
        if answer[1] is not None or answer[2] == "continue":
            ballots.setdefault(_ballot_of(answer[1]), []).append(answer)
    votes = sum(map(len, ballots.values()))
    elected = max(ballots.values(), key=lambda voters: (len(voters), isinstance(voters[0][1], Cancel)), default=[])
    stands = bool(elected) and len(elected) >= run.chain.composition.threshold * votes
    for voters in ballots.values():
        if not (stands and voters is elected):
            for hook, result, _ in voters:
                if result is not None:
                    run.overrule(hook)
    if not stands:
        return None
    hook, result, _ = elected[0]
    if isinstance(result, Modified):
        run.modify(result.data)
        return None
    return None if result is None else (hook, result)


def _ballot_of(result: HookResult | None) -> bytes:
    if isinstance(result, Cancel):
        return b"cancel"
    return _ballot(Continue() if result is None else result)


_DECIDE: dict[Mode, Callable[[Run], Awaitable[Decision]]] = {
    "sequential": sequential,
    "first_match": first_match,
    "parallel": parallel,
    "voting": voting,
}
