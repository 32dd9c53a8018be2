"""What a handle of artifacts offers to find some by what they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llmspell.artifacts.finding.pages import count_found, find_page
from llmspell.artifacts.finding.wanted import Conditions, Wanted
from llmspell.artifacts.info import ArtifactInfo
from llmspell.artifacts.inherited import shown_by
from llmspell.model.count import Count, check_exact
from llmspell.model.page import Page, check_limit

if TYPE_CHECKING:
    from llmspell.artifacts.lookup import Lookup
    from llmspell.journal.journal import Journal


class Querying:
    """The part of ``AsyncArtifacts`` about queries. Conditions hold together; those that are None do not count."""

    _journal: Journal
    _lookup: Lookup

    async def query(
        self,
        *,
        session: str | Iterable[str] | None = None,
        type: str | None = None,
        name: str | None = None,
        tags: Iterable[str] = (),
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
        updated_after: datetime | str | None = None,
        updated_before: datetime | str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        digest: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        text: str | None = None,
        fuzzy: str | None = None,
        order_by: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ArtifactInfo]:
        """Versions that fit all conditions, in this session or through ``store.artifacts`` in all of them (or in
        ``session``, an id or several), a page at a time. Items have the ``id`` that ``get`` and ``delete`` take.

        ``name`` is a pattern with ``*``, ``?`` and ``[…]``; ``tags`` must all be there; ``metadata`` has each
        value at its path, names joined by dots (``{"user.id": 7}``); a list has its items' values, too; times are
        datetimes or RFC 3339 text, inclusive. ``text`` are words of name, description, tags and metadata, which must
        all be there: ``"in a row"`` in quotes, ``beg*`` by their beginning, whatever their case and accents. ``fuzzy``
        is a name, perhaps misspelt, or its last segment, that without suffix, or a word of it: the 250 most alike are
        found, most alike first, of those with at least 0.3 of their groups of three letters in common, whatever their
        case and accents, two letters that are changed over put right. ``order_by`` is ``created_at``, ``updated_at``,
        ``name`` or ``size``, with ``-`` the other way; ``-created_at`` by default. Both times order by the journal:
        what was imported stands where its import does, its times may be older. All pages show what there was at first.

        Raises InvalidInput (``invalid-selection``, ``invalid-text-query``, ``invalid-time``, ``invalid-order``,
        ``invalid-limit``, ``invalid-cursor``). A page of 50 of 1,000,000 takes some milliseconds where one condition is
        selective or the order is that of an index, and where tags, texts of fields or ``text`` are each frequent and
        rarely meet; types, numbers or sizes that do take 200 ns for each artifact that has the rarer of them.
        """
        wanted = await self._wanted(Conditions(
            session, type, name, tags, created_after, created_before, updated_after, updated_before,
            min_size, max_size, digest, metadata, text, fuzzy,
        ))  # fmt: skip
        limit = check_limit(limit)
        return await self._journal.database.read(lambda view: find_page(view, wanted, order_by, limit, cursor))

    async def count(
        self,
        *,
        session: str | Iterable[str] | None = None,
        type: str | None = None,
        name: str | None = None,
        tags: Iterable[str] = (),
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
        updated_after: datetime | str | None = None,
        updated_before: datetime | str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        digest: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        text: str | None = None,
        fuzzy: str | None = None,
        exact: bool = False,
    ) -> Count:
        """How many versions ``query`` would find with these conditions; beyond 1,000 only said to be more, unless
        ``exact``, which looks at each of them.
        """
        check_exact(exact)
        wanted = await self._wanted(Conditions(
            session, type, name, tags, created_after, created_before, updated_after, updated_before,
            min_size, max_size, digest, metadata, text, fuzzy,
        ))  # fmt: skip
        return await self._journal.database.read(lambda view: count_found(view, wanted, exact=exact))

    async def _wanted(self, conditions: Conditions) -> Wanted:
        """The conditions, checked; in a fork they are about what it shows."""
        own = self._lookup.reach.session
        wanted = conditions.checked(own)
        levels = None if own is None else await self._lookup.levels(own)
        if levels is None:
            return wanted
        return conditions._replace(session=None).checked(None).shown_by(levels[0].session, *shown_by(levels))
