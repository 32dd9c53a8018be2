"""The units of work of the access room: check first, then append."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from llmspell.access.check import Demand, bits_of, session_id
from llmspell.access.kinds import AccessBoundarySet, AccessCutOff, AccessGranted, AccessRestored, AccessRevoked
from llmspell.access.passing import FOR_EVER, Held, above_of, held_by, unsupported
from llmspell.access.projection import BOUNDARY_SET, CUT_OFF, GRANTED, RESTORED, REVOKED
from llmspell.access.rights import OWNER, rights_of
from llmspell.errors import AccessDenied, LimitExceeded, NotFound
from llmspell.model import limits
from llmspell.model.entry import subject_digest
from llmspell.model.ids import id_text
from llmspell.model.scope import Scope
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer

_SQL = queries("llmspell.access")
_CUT, _BOUNDARY, _OPEN_OF, _OPEN_BY, _COUNT_BY, _ABOVE_SESSION, _ABOUT = (
    _SQL["cut"], _SQL["boundary"], _SQL["open_of"], _SQL["open_by"], _SQL["count_by"], _SQL["above_session"],
    _SQL["about"],
)  # fmt: skip
_OF_SESSION = _SQL["open_in"], _SQL["open_to"], _OPEN_BY


class Gift(NamedTuple):
    """A grant that is to be made. ``by`` None is the owner."""

    by: Scope | None
    principal: Scope
    scope: Scope
    mask: int
    expires_at: int | None = None
    children: bool = False


async def grant(writer: Writer, gift: Gift) -> int:
    """Make a grant, unless its grantor does not hold as much; returns the entry's seq."""
    by = OWNER if gift.by is None else gift.by.name
    if gift.by is not None:
        await demand_held(writer, gift.by, gift)
    await demand_there(writer, gift.principal, gift.scope)
    principal, scope = gift.principal.name, gift.scope.name
    before = [Held(*row) for row in await writer.all(_OPEN_OF, (principal, scope))]
    payload = AccessGranted(principal, scope, list(rights_of(gift.mask)), by, gift.children, gift.expires_at)
    seq = await writer.append(GRANTED, payload, await writer.scope("global"), f"access/{principal}")
    until = FOR_EVER if gift.expires_at is None else gift.expires_at
    replaced = (one for one in before if one.granted_by == by and one.bit & gift.mask)
    if any(one.until > until or one.children > gift.children for one in replaced):
        await end_unsupported(writer, principal)
    return seq


async def demand_held(writer: Writer, by: Scope, gift: Gift) -> None:
    """Raises AccessDenied unless ``by`` holds what it gives, for as long as it gives it; LimitExceeded when it has
    passed on more than enough.
    """
    demand = Demand(by, gift.scope, gift.mask)
    (cut,) = await writer.one(_CUT, (by.name,)) or (0,)
    if cut:
        raise demand.denied("principal-cut-off", gift.mask)
    if not demand.own or gift.children:
        missing = await _missing(writer, by, gift)
        if missing:
            raise exceeding(by, gift, missing)
    (given,) = await writer.one(_COUNT_BY, (by.name, writer.origin.clock)) or (0,)
    if given + len(bits_of(gift.mask)) > limits.ACCESS_GRANTS_MAX:
        raise LimitExceeded(
            f"{by.text} has passed on {given:,} rights; at most {limits.ACCESS_GRANTS_MAX:,} at a time",
            code="too-many-grants",
            hint="revoke those that are not needed, or use a shared scope",
        )


async def demand_there(writer: Writer, *scopes: Scope) -> None:
    """Raises NotFound (``session-not-found``) for the scope of a session that was deleted: whoever may do something
    there would be let in by nothing that anybody can see. An id that no session of this store ever had is a name like
    any other.
    """
    for scope in scopes:
        session = session_id(scope)
        if session is None or await writer.one(_ABOVE_SESSION, (session,)) is not None:
            continue
        known = await writer.existing_scope(scope.name)
        if known is not None and await writer.one(_ABOUT, (subject_digest(known[1], "session"),)) is not None:
            raise NotFound(
                f"session {scope.ids[0]} was deleted: nobody is given rights in its scope, nor is it given any",
                code="session-not-found", hint="`llmspell session list` shows all",
            )  # fmt: skip


async def _missing(writer: Writer, by: Scope, gift: Gift) -> int:
    """The rights of a gift that its grantor does not hold, or not for so long."""
    above = await above_of(writer, gift.scope.name)
    held = await held_by(writer, by.name, gift.scope.name, above)
    missing = 0
    for bit in bits_of(gift.mask):
        wanted = Held(gift.principal.name, gift.scope.name, bit, by.name, 0, int(gift.children), gift.expires_at)
        if not any(one.supports(wanted, above) for one in held):
            missing |= bit
    return missing


def exceeding(by: Scope, gift: Gift, missing: int) -> AccessDenied:
    """The refusal of a grant that is larger or longer than what its grantor holds."""
    rights = rights_of(missing)
    return AccessDenied(
        f"{by.text} cannot grant {', '.join(rights)} in {gift.scope.text}: it does not hold that itself, or not for so"
        " long or so deep",
        code="grant-exceeds",
        principal=by.text,
        scope=gift.scope.text,
        right=rights[0],
        rights=list(rights),
    )


async def revoke(writer: Writer, by: str | None, principal: str, scope: str, mask: int) -> int:
    """End the open grants of these rights (``by`` None: whoever gave them), and what was passed on with them. Returns
    how many rights ended.
    """
    rows = [Held(*row) for row in await writer.all(_OPEN_OF, (principal, scope))]
    ending = [one for one in rows if one.bit & mask and by in (None, one.granted_by)]
    await _end(writer, ending, passed_on=False)
    return len(ending) + (await end_unsupported(writer, principal) if ending else 0)


async def revoke_given(writer: Writer, by: str) -> int:
    """End everything that a principal passed on; returns how many rights ended."""
    ending = [Held(*row) for row in await writer.all(_OPEN_BY, (by,))]
    await _end(writer, ending, passed_on=False)
    below = 0
    for principal in dict.fromkeys(one.principal for one in ending):
        below += await end_unsupported(writer, principal)
    return len(ending) + below


async def end_of_session(writer: Writer, session: bytes) -> None:
    """End every right in a session's scope, with its boundary, and every right that the session held or gave: a part of
    deleting it.
    """
    scope = f"session:{id_text(session)}"
    ending = {Held(*row): None for sql in _OF_SESSION for row in await writer.all(sql, (scope,))}
    await _end(writer, ending, passed_on=False)
    for principal in dict.fromkeys(one.principal for one in ending):
        await end_unsupported(writer, principal)
    await set_boundary(writer, scope, 0)


async def end_unsupported(writer: Writer, principal: str) -> int:
    """End what a principal passed on and could not give any more; returns how many rights ended."""
    ending = await unsupported(writer, principal)
    await _end(writer, ending, passed_on=True)
    return len(ending)


async def _end(writer: Writer, ending: Iterable[Held], *, passed_on: bool) -> None:
    """One entry for each grantor, principal and scope."""
    ordered = sorted(ending, key=_gift_of)
    for (granted_by, principal, scope), rows in groupby(ordered, key=_gift_of):
        mask = 0
        for one in rows:
            mask |= one.bit
        payload = AccessRevoked(principal, scope, list(rights_of(mask)), granted_by, passed_on)
        await writer.append(REVOKED, payload, await writer.scope("global"), f"access/{principal}")


def _gift_of(one: Held) -> tuple[str, str, str]:
    return one.granted_by, one.principal, one.scope


async def set_boundary(writer: Writer, scope: str, mask: int) -> bool:
    """Set what everybody may do in a scope; False when it was so already. Raises as ``demand_there``."""
    if mask:
        await demand_there(writer, Scope.from_name(scope))
    row = await writer.one(_BOUNDARY, (scope,))
    if (row[0] if row is not None else 0) == mask:
        return False
    payload = AccessBoundarySet(scope, list(rights_of(mask)))
    await writer.append(BOUNDARY_SET, payload, await writer.scope("global"), f"access/{scope}")
    return True


async def set_cut_off(writer: Writer, principal: str, *, cut_off: bool) -> bool:
    """Cut a principal off or restore it; False when it was so already."""
    (cut,) = await writer.one(_CUT, (principal,)) or (0,)
    if bool(cut) == cut_off:
        return False
    scope, subject = await writer.scope("global"), f"access/{principal}"
    if cut_off:
        await writer.append(CUT_OFF, AccessCutOff(principal), scope, subject)
    else:
        await writer.append(RESTORED, AccessRestored(principal), scope, subject)
    return True
