"""Captures: outputs of tools, agents and users are offered, and what rules want of them becomes artifacts.

Whoever runs tools offers each output and goes on: an offer that is refused, by a rule, a hook, a quota or a secret in
it, is answered and raises nothing. What must stay true: nothing is written before it was decided that it may be, and
what was decided depends on the offer and the rules alone, so a re-run decides the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from llmspell.artifacts.captures import units
from llmspell.artifacts.captures.answer import CAPTURED, Capture, CaptureCount
from llmspell.artifacts.captures.kinds import ArtifactCaptured, CaptureSkipped
from llmspell.artifacts.captures.offer import (
    Begun,
    Line,
    Offer,
    begin,
    check_bounds,
    check_offer,
    is_sampled,
)
from llmspell.artifacts.captures.origin import is_from_elsewhere
from llmspell.artifacts.captures.rule import TYPES, CaptureRule
from llmspell.artifacts.captures.ruling import Ruling
from llmspell.artifacts.captures.screen import Screen, Unfit
from llmspell.artifacts.captures.sealed import MIME, Seal, by_any, opened
from llmspell.errors import InvalidInput, LimitExceeded, LlmspellError, NotFound, Vetoed
from llmspell.hooks.moment import run_point
from llmspell.model.arguments import check_flags
from llmspell.model.context import Correlation
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.telling import told
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.artifacts.info import ArtifactInfo
    from llmspell.artifacts.lookup import Lookup
    from llmspell.artifacts.putting import Putting
    from llmspell.artifacts.service import AsyncArtifacts
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.model.context import Context
    from llmspell.offload import Offload

_SQL = queries("llmspell.artifacts.captures")
_ANSWERS = frozenset(("invalid-artifact", "invalid-tags"))
"""A validator refused, or the tags of rule and offer together are too many: what was offered was checked before."""
_INLINE_BYTES = 16 << 10
"""Content up to this size is looked through at once; handing it to a thread would cost more."""


class Guard(Protocol):
    """Finds secrets, and seals: see ``state.classes.Protection``."""

    sealer: Any

    def redact(self, value: Any) -> Any:
        """The value with its secrets replaced, and what was found."""
        ...

    async def prepare(self, scope: str) -> None:
        """Have the key of a scope."""
        ...


class _Case(NamedTuple):
    """An offer, in its session, and the rule that decides on it."""

    context: Context
    session: str
    offer: Offer
    rule: CaptureRule
    owner: str


class AsyncCaptures(Ruling):
    """What becomes of outputs in a session (``session.captures``); through ``store.captures``, the rules of the whole
    store, and offers in the current session.
    """

    def __init__(
        self, journal: Journal, hooks: Hooks, acting: Acting, artifacts: AsyncArtifacts,
        inside: tuple[Lookup, Putting], guard: Guard, offload: Offload,
    ) -> None:  # fmt: skip
        self._journal = journal
        self._hooks = hooks
        self._acting = acting
        self._artifacts = artifacts
        self._lookup, self._putting = inside
        self._guard = guard
        self._offload = offload
        self._known: dict[int, list[CaptureRule]] = {}

    # -- offers --------------------------------------------------------------------------------------------------------

    async def offer(
        self,
        content: Any,
        *,
        source: str,
        name: str | None = None,
        mime_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Iterable[str] = (),
        error: bool = False,
        cause: int | None = None,
        correlation: str | None = None,
        record: bool = False,
    ) -> Capture:
        """Offer an output; the answer says what became of it and why.

        ``content`` is text, bytes, a JSON value (dict, list, number, bool, None), a Path, a binary file, or an iterable
        or async iterable of bytes, of any size in constant memory; a stream that is skipped is not read, or not to its
        end. ``source`` is ``tool``, ``agent`` or ``user``; ``name`` whose it is. ``error``: the output is an error.
        ``cause`` is the seq of the entry that led here, ``correlation`` the id of one that was opened; both are in the
        entries written. ``record``: write an entry also when it is skipped.

        Captured, it writes ``artifact.stored`` and ``artifact.captured`` in one unit. Raises InvalidInput, NotFound
        (session, file, ``entry-not-found``, ``correlation-not-found``), LimitExceeded (``metadata-too-large``,
        ``value-too-large``) for what is no offer; Conflict (archived session), StorageFailed. What a hook refuses and
        what passes a quota or a limit of the session is an answer.
        """
        check_flags(record=record)
        context = self._acting.context()
        session = self._lookup.session(context)
        offer = check_offer(
            content, source=source, name=name, mime_type=mime_type, metadata=metadata, tags=tags, error=error
        )
        if cause is not None or correlation is not None:
            context = await self._because(context, cause, correlation)
        answer, wanted = await self._decide(context, session, offer)
        if not answer.captured:
            if context.step is not None:
                self._guard.redact(_short(offer))  # Short arguments of a script's step stand in its record.
            if record or wanted:
                await self._record(context, session, offer, answer)
        if "after_artifact_capture" in self._hooks.armed:
            data = {**_described(session, offer), **answer.to_dict()}
            await run_point(self._hooks, context, "after_artifact_capture", "artifact", "capture", data)
        return answer

    async def unseal(self, name_or_id: str, *, version: int | str | None = None) -> bytes:
        """The content of an artifact that was captured with ``privacy="seal"``, whole in memory; in a fork also where
        it was captured before the fork left.

        A seal is for one session of one store. Content that came here with an imported session opens when that was
        exported from this store and has its own id again. Raises NotFound (``key-shredded``, ``keyring-missing``, and
        ``sealed-elsewhere``), WrongKey, Corrupt, InvalidInput (``not-sealed``).
        """
        content = await self._artifacts.get(name_or_id, version=version)
        info = content.info
        if info.mime_type != MIME:
            raise InvalidInput(f"artifact {info.name!r} v{info.version} is not sealed", code="not-sealed")
        self._hide(self._acting.context())
        session = id_bytes(info.session)
        levels = await self._journal.lineage(f"session:{info.session}")  # What a fork inherits was sealed in its past.
        places = (session,) if levels is None else tuple(level.session for level in levels)
        unseal = by_any([partial(self._guard.sealer.unseal, f"session:{id_text(place)}") for place in places])
        data = await content.read()
        try:
            return await self._offload.run(opened, data, unseal)
        except LlmspellError as exc:
            await self._demand_from_here(info, exc)
            raise

    async def _demand_from_here(self, info: ArtifactInfo, exc: LlmspellError) -> None:
        """Say of what could not be opened that it was sealed in another place, if it was."""
        key, store_id = id_bytes(info.id), self._guard.sealer.store_id
        if await self._journal.database.read(lambda view: is_from_elsewhere(view, key, store_id)):
            raise NotFound(
                f"artifact {info.name!r} v{info.version} was sealed in another store or session, which alone opens it",
                code="sealed-elsewhere",
                hint="import the session into the store it was exported from, under its own id",
            ) from exc

    async def counts(self) -> list[CaptureCount]:
        """What each rule did in this session, the session's own first."""
        session = self._lookup.session(self._acting.context())
        rows = await self._journal.database.read(lambda view: view.all(_SQL["counts"], (session,)))
        return [
            CaptureCount(rule or None, ("session" if owner else "store") if rule else None, captured, skipped, size)
            for owner, rule, captured, skipped, size in sorted(rows, key=lambda row: not row[0])
        ]

    # -- deciding ------------------------------------------------------------------------------------------------------

    async def _decide(self, context: Context, session: bytes, offer: Offer) -> tuple[Capture, bool]:
        """The answer, and whether the rule wants a record of what it skips."""
        rule, owner = None, ""
        try:
            await self._before(context, session, offer)
            found = await self._deciding(session, offer)
            if found is None:
                return _skipped(offer, "no-rule", None, ""), False
            rule, owner = found
            if rule.action == "skip":
                raise Unfit("rule")
            case = _Case(context, id_text(session), offer, rule, owner)
            return await self._capture(case), rule.record_skips
        except Unfit as exc:
            answer = _skipped(offer, exc.reason, rule, owner, exc.detail)
        except (Vetoed, LimitExceeded) as exc:
            answer = _skipped(offer, exc.code, rule, owner, exc.message)
        except InvalidInput as exc:
            if exc.code not in _ANSWERS:
                raise
            answer = _skipped(offer, exc.code, rule, owner, exc.message)
        return answer, rule is not None and rule.record_skips

    async def _before(self, context: Context, session: bytes, offer: Offer) -> None:
        if "before_artifact_capture" not in self._hooks.armed:
            return
        data = _described(session, offer)
        outcome = await run_point(self._hooks, context, "before_artifact_capture", "artifact", "capture", data)
        if outcome is not None and outcome.changed:
            checked = check_offer(
                b"", source=offer.source, name=offer.name, mime_type=outcome.data["mime_type"],
                metadata=outcome.data["metadata"], tags=outcome.data["tags"], error=offer.error,
            )  # fmt: skip
            offer.mime_type, offer.metadata, offer.tags = checked.mime_type, checked.metadata, checked.tags

    # -- capturing -----------------------------------------------------------------------------------------------------

    async def _capture(self, case: _Case) -> Capture:
        rule, offer = case.rule, case.offer
        if offer.size is not None:
            check_bounds(rule, offer.size, ended=True)
        await self._look_for_room(case)
        begun = None
        if offer.whole is None:
            begun = await begin(offer, self._offload)
            check_bounds(rule, offer.size or 0 if begun is None else len(begun.head), ended=begun is None)
        if not is_sampled(rule, offer, (offer.whole or b"") if begun is None else begun.head):
            raise Unfit("not-sampled")
        screen = None if rule.privacy == "keep" else Screen(self._guard.redact, refuse=rule.privacy == "skip")
        said = _said(offer, screen)
        line = await self._line(case, None if rule.privacy == "seal" else screen)
        content = await self._content(offer, begun, line)
        info = await self._put(case, said, content, screen)
        redacted = {} if screen is None else dict(screen.found)
        size = line.meter.size if offer.size is None else offer.size
        owner = "session" if case.owner else "store"
        return Capture(CAPTURED, rule.name, owner, info, size=size, redacted=redacted)

    async def _look_for_room(self, case: _Case) -> None:
        """Look before anything is read or stored; what is committed is looked at again."""
        rule = case.rule
        if rule.count_max is None and rule.bytes_max is None:
            return
        key = id_bytes(case.session), id_bytes(case.owner) if case.owner else b"", rule.name
        row = await self._journal.database.one(_SQL["count"], key)
        units.check_room(rule, (0, 0) if row is None else (row[0], row[1]), 0)

    async def _line(self, case: _Case, screen: Screen | None) -> Line:
        """What the content goes through."""
        if case.rule.privacy != "seal":
            return Line(case.rule, screen, None)
        scope = f"session:{case.session}"
        self._hide(case.context)
        await self._guard.prepare(scope)
        return Line(case.rule, None, Seal(partial(self._guard.sealer.seal, scope)))

    async def _content(self, offer: Offer, begun: Begun | None, line: Line) -> Any:
        """What is put: bytes, or a stream of them."""
        if begun is not None:
            return line.stream(begun, self._offload)
        whole = offer.whole or b""
        if not line.changes:
            return whole
        if len(whole) <= _INLINE_BYTES:
            return line.whole(offer)
        return await self._offload.run(line.whole, offer)

    async def _put(self, case: _Case, said: dict[str, Any], content: Any, screen: Screen | None) -> ArtifactInfo:
        rule, offer = case.rule, case.offer
        sealed = rule.privacy == "seal"
        session = id_bytes(case.session)
        request = await self._putting.check(
            case.context, session, rule.artifact_name(offer.source, said["name"]), content,
            type=rule.type or TYPES[offer.source], mime_type=MIME if sealed else said["mime_type"],
            tags=[*rule.tags, *said["tags"]],
            metadata={**rule.metadata, **said["metadata"], **({"sealed": said["mime_type"]} if sealed else {})},
            compression="none" if sealed else "auto",
        )  # fmt: skip

        async def within(writer: Any, new: Any, store: Any) -> Any:
            about = ArtifactCaptured(
                "", case.session, case.owner, rule.name, offer.source, said["name"], 0, rule.privacy, offer.error,
                {} if screen is None else dict(screen.found),
            )  # fmt: skip
            return await units.capture(writer, new, store, rule, about)

        return await self._putting.put(case.context, session, request, None, within)

    async def _record(self, context: Context, session: bytes, offer: Offer, answer: Capture) -> None:
        owner = id_text(session) if answer.owner == "session" else ""
        said = _said(offer, Screen(self._guard.redact, refuse=False))
        left = CaptureSkipped(
            id_text(session), owner, answer.rule or "", offer.source, said["name"], answer.reason, said["mime_type"],
            offer.size, offer.error,
        )  # fmt: skip
        await self._journal.write(lambda writer: units.skip(writer, left), context=context)

    async def _because(self, context: Context, cause: int | None, correlation: str | None) -> Context:
        """The context with what an offer says of its origin."""
        if cause is not None:
            if type(cause) is not int or not 1 <= cause < 1 << 63:
                raise InvalidInput(f"cause is an entry's number, not {told(cause)}", code="invalid-seq")
            if await self._journal.database.one(_SQL["entry_is_there"], (cause,)) is None:
                raise NotFound(f"there is no entry {cause}", code="entry-not-found")
            context = replace(context, cause=cause)
        if correlation is not None:
            key = id_bytes(correlation, "correlation")
            row = await self._journal.database.one(_SQL["correlation"], (key,))
            if row is None:
                raise NotFound(f"there is no correlation {correlation}", code="correlation-not-found")
            context = replace(context, correlation=Correlation(key, row[0]))
        return context

    @staticmethod
    def _hide(context: Context) -> None:
        if context.step is not None:
            context.step.hide()


def _said(offer: Offer, screen: Screen | None) -> dict[str, Any]:
    """What is said about the content, without secrets."""
    said = {"name": offer.name, "tags": offer.tags, "metadata": offer.metadata, "mime_type": offer.mime_type}
    if screen is None:
        return said
    clean: dict[str, Any] = screen.value(said)
    if clean["mime_type"] != offer.mime_type:
        essence = offer.mime_type.partition(";")[0].strip()
        clean["mime_type"] = essence if clean["mime_type"].startswith(essence) else "application/octet-stream"
    return clean


def _short(offer: Offer) -> dict[str, Any]:
    """What an offer says, with its content if that is short."""
    short = offer.whole is not None and len(offer.whole) <= _INLINE_BYTES
    text = (offer.whole or b"").decode(errors="replace") if short and not offer.is_value else ""
    return {"said": _said(offer, None), "content": offer.value if short and offer.is_value else text}


def _described(session: bytes, offer: Offer) -> dict[str, Any]:
    """What hooks see of an offer."""
    return {
        "session_id": id_text(session), "source": offer.source, "name": offer.name, "mime_type": offer.mime_type,
        "size": offer.size, "error": offer.error, "tags": offer.tags, "metadata": offer.metadata,
    }  # fmt: skip


def _skipped(offer: Offer, reason: str, rule: CaptureRule | None, owner: str, detail: str = "") -> Capture:
    if rule is None:
        return Capture(reason, detail=detail, size=offer.size)
    return Capture(reason, rule.name, "session" if owner else "store", detail=detail, size=offer.size)
