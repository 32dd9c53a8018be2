"""The access room: grants, boundaries, cutting a principal off, and the audit of all that.

``AsyncAccess`` is the owner's; ``AsyncPrincipalAccess`` is what a principal may do of it: pass on what it holds, take
back what it passed on, and see what is about itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, TypeVar, cast

from llmspell.access.ledger import Access
from llmspell.access.records import (
    AccessRecord,
    Grant,
    Selection,
    read_boundaries,
    read_cut_offs,
    read_grants,
    read_records,
)
from llmspell.access.rights import ALL, Right, boundary_of, mask_of, principal_of, scope_of
from llmspell.access.units import Gift, grant, revoke, revoke_given, set_boundary, set_cut_off
from llmspell.errors import AccessDenied, InvalidInput
from llmspell.model import limits
from llmspell.model.arguments import check_flags
from llmspell.model.page import Page, check_limit
from llmspell.model.telling import told

if TYPE_CHECKING:
    from llmspell.access.checked import CheckedJournal
    from llmspell.access.ledger import Ledger
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal, Writer
    from llmspell.model.clock import Clock
    from llmspell.model.scope import Scope

Rights = Iterable[Right | str]
T = TypeVar("T")


class AsyncAccess:
    """Who may do what. Get it from ``store.access``. What changes here holds at once, in every process."""

    def __init__(self, journal: Journal, acting: Acting) -> None:
        self._journal = journal
        self._acting = acting

    async def grant(
        self,
        principal: str | Scope,
        scope: str | Scope,
        rights: Rights,
        *,
        expires_in_s: float | None = None,
        children: bool = False,
    ) -> int:
        """Let ``principal`` do what ``rights`` name (``read``, ``write``, ``delete``, ``list``) in ``scope``; returns
        the seq of the entry.

        It holds until it is revoked, or for ``expires_in_s`` seconds. ``children`` opens the scopes directly below as
        well: a workflow's steps, the sessions created by a user. For each right this replaces what the owner granted
        there before. Raises InvalidInput (``invalid-principal``, ``invalid-scope``, ``invalid-right``, ``own-scope``),
        NotFound (``session-not-found``) for the scope of a session that was deleted, or that as the principal.
        """
        gift = _gift(self._journal.clock, None, principal, scope, rights, expires_in_s, children)
        return await self._journal.write(lambda writer: grant(writer, gift), context=self._acting.context())

    async def revoke(
        self, principal: str | Scope, scope: str | Scope, rights: Rights | None = None, *, dry_run: bool = False
    ) -> int:
        """End rights of ``principal`` in ``scope``, whoever granted them; without ``rights`` all of them. Returns how
        many ended: with those that it had passed on, and that nothing else holds up, in the same transaction.
        ``dry_run`` returns how many that would be, and ends none.
        """
        check_flags(dry_run=dry_run)
        name, place, mask = principal_of(principal, known=True).name, scope_of(scope).name, _mask(rights)
        return await self._written(lambda writer: revoke(writer, None, name, place, mask), dry_run)

    async def set_boundary(self, scope: str | Scope, boundary: str | Rights) -> bool:
        """Say what every principal may do in a scope: ``"strict"`` nothing (as it is by default), ``"read-only"`` read
        and list, or a set of rights. False when it was so already. Raises NotFound (``session-not-found``), as
        ``grant``.
        """
        name, mask = scope_of(scope).name, boundary_of(boundary)
        return await self._journal.write(
            lambda writer: set_boundary(writer, name, mask), context=self._acting.context()
        )

    async def cut_off(self, principal: str | Scope, *, passed_on: bool = False, dry_run: bool = False) -> bool:
        """Refuse everything that a principal does from now on, in its own scope too; False when it was cut off already.
        What it was granted stays, for ``restore``. ``passed_on`` ends all that it has granted to others, for good.
        ``dry_run`` says what would be returned, and does nothing.
        """
        check_flags(passed_on=passed_on, dry_run=dry_run)
        name = principal_of(principal).name

        async def unit(writer: Writer) -> bool:
            changed = await set_cut_off(writer, name, cut_off=True)
            ended = await revoke_given(writer, name) if passed_on else 0
            return changed or ended > 0

        return await self._written(unit, dry_run)

    async def restore(self, principal: str | Scope) -> bool:
        """Let a principal that was cut off do again what it was granted; False when it was not cut off."""
        name = principal_of(principal, known=True).name
        return await self._journal.write(
            lambda writer: set_cut_off(writer, name, cut_off=False), context=self._acting.context()
        )

    async def grants(
        self,
        *,
        principal: str | Scope | None = None,
        scope: str | Scope | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Grant]:
        """Grants that hold now, newest first; those of a principal, those in a scope."""
        chosen = _selection(principal, scope)
        limit, now = check_limit(limit), self._journal.clock.now_ns()
        return await self._journal.database.read(lambda view: read_grants(view, chosen, now, limit, cursor))

    async def boundaries(self) -> dict[str, tuple[str, ...]]:
        """The scopes that are not strict, with what everybody may do there; 10,000 at most."""
        return await self._journal.database.read(lambda view: read_boundaries(view, limits.PAGE_ROWS_MAX))

    async def cut_offs(self) -> list[str]:
        """The principals that are cut off now; 10,000 at most."""
        return await self._journal.database.read(lambda view: read_cut_offs(view, limits.PAGE_ROWS_MAX))

    async def audit(
        self,
        *,
        principal: str | Scope | None = None,
        scope: str | Scope | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[AccessRecord]:
        """Every change of who may do what, every access to a scope of another, every refusal; newest first, read from
        the journal with its hashes checked. What repeats within a second is one record with a count.
        """
        chosen, limit = _selection(principal, scope), check_limit(limit)
        return await self._journal.database.read(lambda view: read_records(view, chosen, limit, cursor))

    async def _written(self, work: Callable[[Writer], Awaitable[T]], dry_run: bool) -> T:
        """What a unit gives; for a dry run it is done and undone, so that what ends with what ended is counted too."""
        if not dry_run:
            return await self._journal.write(work, context=self._acting.context())

        async def tried(writer: Writer) -> T:
            raise _Undone(await work(writer))

        try:
            return await self._journal.write(tried, context=self._acting.context())
        except _Undone as undone:
            return cast("T", undone.args[0])


class _Undone(Exception):
    """Ends a unit that was only tried; carries what it gave."""


class AsyncPrincipalAccess:
    """What a principal may do about access: ``store.acting_as(principal).access``."""

    def __init__(
        self, journal: Journal, checked: CheckedJournal, acting: Acting, ledger: Ledger, principal: Scope
    ) -> None:
        self._journal = journal
        self._checked = checked
        self._acting = acting
        self._ledger = ledger
        self._principal = principal

    async def grant(
        self,
        principal: str | Scope,
        scope: str | Scope,
        rights: Rights,
        *,
        expires_in_s: float | None = None,
        children: bool = False,
    ) -> int:
        """Pass on rights to another principal; see ``AsyncAccess.grant``. Of its own scope a principal may give any;
        of others what was granted to it, no longer than it holds that itself. What everybody may do there is not its
        to give.

        Raises AccessDenied (``grant-exceeds``, ``principal-cut-off``), LimitExceeded (``too-many-grants``).
        """
        gift = _gift(self._journal.clock, self._principal, principal, scope, rights, expires_in_s, children)
        try:
            return await self._journal.write(lambda writer: grant(writer, gift), context=self._acting.context())
        except AccessDenied as exc:
            missing = mask_of(exc.details["rights"])
            await self._ledger.note(Access(self._principal.name, gift.scope.name, missing, exc.code))
            raise

    async def revoke(self, principal: str | Scope, scope: str | Scope, rights: Rights | None = None) -> int:
        """Take back rights that this principal granted, and what was passed on with them; returns how many ended."""
        name, place, mask = principal_of(principal, known=True).name, scope_of(scope).name, _mask(rights)
        by = self._principal.name
        return await self._checked.write(
            lambda writer: revoke(writer, by, name, place, mask), context=self._acting.context()
        )

    async def grants(self, *, limit: int = 100, cursor: str | None = None) -> Page[Grant]:
        """Grants to this principal, by it, and in its own scope, newest first."""
        limit, now = check_limit(limit), self._journal.clock.now_ns()
        chosen = Selection(about=self._principal.name)
        return await self._checked.read(lambda view: read_grants(view, chosen, now, limit, cursor))

    async def audit(self, *, limit: int = 100, cursor: str | None = None) -> Page[AccessRecord]:
        """What was granted to this principal, what it did in scopes of others, where it was refused, and what others
        did in its own scope; newest first.
        """
        limit = check_limit(limit)
        chosen = Selection(about=self._principal.name)
        return await self._checked.read(lambda view: read_records(view, chosen, limit, cursor))


def _gift(
    clock: Clock,
    by: Scope | None,
    principal: str | Scope,
    scope: str | Scope,
    rights: Rights,
    expires_in_s: float | None,
    children: bool,
) -> Gift:
    to, place = principal_of(principal), scope_of(scope)
    if type(children) is not bool:
        raise InvalidInput(f"children is True or False, not {told(children)}", code="invalid-right")
    if to == by:
        raise InvalidInput(f"{to.text} cannot grant itself anything", code="own-scope")
    if to == place and not children:
        raise InvalidInput(f"{to.text} holds every right in its own scope already", code="own-scope")
    mask = mask_of(rights)
    if expires_in_s is None:
        return Gift(by, to, place, mask, None, children)
    if type(expires_in_s) not in (int, float) or not 0 < expires_in_s < limits.TTL_S_MAX:
        raise InvalidInput(f"expires_in_s is a number of seconds above 0, not {told(expires_in_s)}", code="invalid-ttl")
    return Gift(by, to, place, mask, clock.now_ns() + round(expires_in_s * 1e9), children)


def _mask(rights: Rights | None) -> int:
    return ALL if rights is None else mask_of(rights)


def _selection(principal: str | Scope | None, scope: str | Scope | None) -> Selection:
    who = None if principal is None else principal_of(principal, known=True)
    return Selection(None if who is None else who.name, None if scope is None else scope_of(scope).name)
