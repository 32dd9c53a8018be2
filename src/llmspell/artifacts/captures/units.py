"""The units of work of captures: check first, then append."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell.artifacts.captures.kinds import ArtifactCaptured, CaptureRulesSet, CaptureSkipped
from llmspell.artifacts.captures.projection import CAPTURED, RULES_SET, SKIPPED, STORE_OWNER, owner_key
from llmspell.artifacts.captures.rule import CaptureRule
from llmspell.errors import Corrupt, LimitExceeded, LlmspellError, NotFound
from llmspell.model import limits
from llmspell.model.ids import id_bytes, id_text
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.artifacts.kinds import ArtifactStored
    from llmspell.artifacts.putting import Stored
    from llmspell.journal.journal import Writer

_SQL = queries("llmspell.artifacts.captures")
Change = Callable[[list[CaptureRule]], list[CaptureRule]]


def rules_in(text: str) -> list[CaptureRule]:
    """The rules of a row. Raises Corrupt."""
    try:
        return [CaptureRule(**one) for one in msgspec.json.decode(text, type=list[dict[str, Any]])]
    except (msgspec.DecodeError, TypeError, LlmspellError) as exc:
        raise Corrupt(f"a row of capture rules holds none: {exc}") from exc


async def change_rules(writer: Writer, session: bytes | None, change: Change) -> list[CaptureRule]:
    """Set the rules of a session or of the store to what ``change`` makes of those there are; nothing is written when
    they are as wanted. Raises NotFound, LimitExceeded (``too-many-rules``).
    """
    scope = "global"
    if session is not None:
        await demand_session(writer, session)
        scope = f"session:{id_text(session)}"
    row = await writer.one(_SQL["rules"], (STORE_OWNER if session is None else session,))
    before = [] if row is None else rules_in(row[1])
    rules = change(before)
    if rules == before:
        return rules
    plain = [rule.to_dict() for rule in rules]
    if len(rules) > limits.CAPTURE_RULES_MAX or len(msgspec.json.encode(plain)) > limits.CAPTURE_RULES_BYTES_MAX:
        raise LimitExceeded(
            f"there are at most {limits.CAPTURE_RULES_MAX} rules, of {limits.CAPTURE_RULES_BYTES_MAX:,} bytes together",
            code="too-many-rules", limit=limits.CAPTURE_RULES_MAX,
        )  # fmt: skip
    payload = CaptureRulesSet(None if session is None else id_text(session), plain)
    await writer.append(RULES_SET, payload, await writer.scope(scope), "capture-rules")
    return rules


async def forget_rules(writer: Writer, session: bytes) -> None:
    """Take a session's rules away, as part of deleting the session."""
    if await writer.one(_SQL["rules"], (session,)) is not None:
        await change_rules(writer, session, lambda _: [])


async def capture(
    writer: Writer, new: ArtifactStored, store: Callable[[Writer], Awaitable[Stored]], rule: CaptureRule,
    about: ArtifactCaptured,
) -> Stored:  # fmt: skip
    """Store a version that a rule captures, and say so. Raises LimitExceeded (``capture-cap-reached``)."""
    await demand_room(writer, rule, about.session, about.owner, new.size)
    stored = await store(writer)
    payload = msgspec.structs.replace(about, id=stored[0].id, size=stored[0].size)
    scope = await writer.scope(f"session:{about.session}")
    await writer.append(CAPTURED, payload, scope, f"artifact/{stored[0].name}")
    return stored


async def demand_room(writer: Writer, rule: CaptureRule, session: str, owner: str, size: int) -> None:
    """Raise LimitExceeded when a rule may not capture so much more in a session."""
    if rule.count_max is None and rule.bytes_max is None:
        return
    row = await writer.one(_SQL["count"], (id_bytes(session), owner_key(owner), rule.name))
    check_room(rule, row or (0, 0), size)


def check_room(rule: CaptureRule, used: tuple[int, int], size: int) -> None:
    """The same, of what was counted."""
    count, total = used
    if rule.count_max is not None and count >= rule.count_max:
        what, limit = f"captured {count:,} versions", rule.count_max
    elif rule.bytes_max is not None and total + size > rule.bytes_max:
        what, limit = f"captured {total:,} bytes, and {size:,} would come", rule.bytes_max
    else:
        return
    raise LimitExceeded(
        f"rule {rule.name!r} {what} in this session; {limit:,} are allowed", code="capture-cap-reached", limit=limit
    )


async def skip(writer: Writer, left: CaptureSkipped) -> int:
    """Record an offer that became nothing. Raises NotFound."""
    await demand_session(writer, id_bytes(left.session))
    return await writer.append(SKIPPED, left, await writer.scope(f"session:{left.session}"), "captures")


async def demand_session(writer: Writer, session: bytes) -> None:
    """Raise NotFound unless the session is there."""
    if await writer.one(_SQL["session_is_there"], (session,)) is None:
        raise NotFound(f"session {id_text(session)} does not exist", code="session-not-found")
