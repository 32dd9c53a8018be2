"""What a migration's target is bound to, and its binding to the version that its values come to have.

What must stay true: a binding is moved in the transaction that found it; forward only to a version that is registered
with the content that the values are held against, back to the one that it was moved from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmspell.errors import Conflict, NotFound
from llmspell.journal.asking import Asking, Asks, driven
from llmspell.registry.kinds import SchemaBound
from llmspell.registry.projection import BOUND
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer
    from llmspell.migration.plan import Plan
    from llmspell.ports.database import Reading

_SQL = queries("llmspell.registry")
_CAUSED_BY = "SELECT 1 FROM entry WHERE seq = ? AND cause = ?"
_BEGUN_BY = "SELECT c.seq FROM entry e JOIN entry c ON c.seq = e.cause WHERE e.seq = ? AND c.kind = ?"


class Bound(NamedTuple):
    """That a target is bound to the new version: by the entry ``binding``; what was written after the entry ``since``
    was held against it. That is the first one of the migration that bound it, else the binding's own.
    """

    binding: int
    since: int


async def find_binding(asks: Asks, plan: Plan) -> tuple[str, int] | None:
    """The version that exactly a plan's target is bound to, and by which entry; None for none of its schema."""
    place = plan.target.scope or "", plan.target.prefix
    row = await asks.one(_SQL["open_one"], place) if plan.target.kind == "state" else None
    return None if row is None or row[0] != plan.name else (row[1], row[2])


async def find_bound(asks: Asks, plan: Plan) -> Bound | None:
    """Since when values are held against a plan's new version, as by a handle that migrates what it reads; None where
    exactly its target is not bound to that.
    """
    return await _bound_by(asks, plan, await find_binding(asks, plan))


async def _bound_by(asks: Asks, plan: Plan, found: tuple[str, int] | None) -> Bound | None:
    if found is None or found[0] != plan.to_version:
        return None
    row = await asks.one(_BEGUN_BY, (found[1], "migration.started"))
    return Bound(found[1], found[1] if row is None else row[0])


def load_bound_since(plan: Plan, view: Reading) -> int:
    """What ``find_bound`` gives as ``since``; else 0."""
    bound = driven(find_bound(Asking(view), plan))
    return 0 if bound is None else bound.since


async def find_standing(asks: Asks, plan: Plan) -> tuple[bool, Bound | None]:
    """Whether a plan's target, or some of it, is bound to the version that it leads from; and what ``find_bound``
    gives. Raises Conflict (``plan-outdated``) where exactly the target is bound to a third one.
    """
    found = await find_binding(asks, plan)
    if found is not None and found[0] not in {plan.from_version, plan.to_version}:
        raise outdated(plan, found[0])
    return bool(await _within(asks, plan, plan.from_version)), await _bound_by(asks, plan, found)


async def bind_anew(writer: Writer, plan: Plan) -> Bound | None:
    """Bind what of a plan's target is bound to the old version to the new one, inside a unit, as whoever migrates what
    is read does; gives what ``find_bound`` does then. Raises Conflict (``migration-running``), and what
    ``find_standing`` and ``demand_bindable`` do.
    """
    old, bound = await find_standing(writer, plan)
    if not old:
        return bound
    if writer.settled is not None:
        await writer.settled.demand_prefix(writer, plan.target.scope, plan.target.prefix)
    await demand_bindable(writer, plan)
    seq = await rebind(writer, plan, plan.from_version, plan.to_version)
    return Bound(seq, seq) if seq else bound


async def rebind(writer: Writer, plan: Plan, old: str, new: str, *, run: int = 0) -> int:
    """Bind keys of a plan's target that are bound to one version to another, its own binding and those of some of its
    keys, by a longer prefix or their scope. Back after the run that began with the entry ``run`` go only those that it
    bound, or before it whatever bound the target as a whole. Gives the entry of the target's own, 0 without.
    """
    target, made = plan.target, 0
    whole = target.scope or "", target.prefix
    found = await _within(writer, plan, old)
    own = next((seq for scope, prefix, seq in found if (scope, prefix) == whole), run)
    for scope, prefix, seq in found:
        if run and seq != own and not own < seq < run and await writer.one(_CAUSED_BY, (seq, run)) is None:
            continue
        if writer.guard is not None:
            writer.guard.doubt()
        bound = SchemaBound(scope, prefix, plan.name, new)
        entry = await writer.append(BOUND, bound, await writer.scope("global"), f"binding/{scope}/{prefix}")
        made = entry if seq == own else made
    return made


async def _within(asks: Asks, plan: Plan, version: str) -> list[tuple[str, str, int]]:
    """Scope, prefix and entry of the bindings of keys of a plan's target, all of them its own, to a version."""
    target = plan.target
    if target.kind != "state":
        return []
    return [
        (scope, prefix, seq)
        for scope, prefix, seq, name, bound in await asks.all(_SQL["open"])
        if (name, bound) == (plan.name, version) and target.scope in {None, scope} and prefix.startswith(target.prefix)
    ]


async def demand_bindable(asks: Asks, plan: Plan) -> None:
    """Refuse a plan whose end would bind its target to what is no registered schema. Raises NotFound
    (``schema-not-found``), Conflict (``schema-exists``: it is registered with other content).
    """
    if not await _within(asks, plan, plan.from_version):
        return
    new = plan.to_schema
    row = await asks.one(_SQL["hash_of"], (new.name, str(new.version)))
    if row is None:
        raise NotFound(
            f"{new.name} {new.version} is not registered, and keys that are bound to another version are to be bound"
            " to it", code="schema-not-found", hint="register it with store.schemas.register first",
        )  # fmt: skip
    if row[0] != new.hash:
        raise Conflict(
            f"{new.name} {new.version} is registered with other content than the plan's", code="schema-exists",
            hint="plan again without a catalog", name=new.name, version=str(new.version),
        )  # fmt: skip


def outdated(plan: Plan, version: str | None) -> Conflict:
    """The error for a plan that came too late."""
    return Conflict(
        f"{plan.target} are of {plan.name} {version} by now; this plan was made before that, for {plan.from_version}",
        code="plan-outdated", hint="plan again",
    )  # fmt: skip
