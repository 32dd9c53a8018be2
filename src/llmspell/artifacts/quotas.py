"""Quotas: how much a session, or the whole store, may hold in artifacts.

What counts are the bytes of versions that are there (not deleted), before deduplication and compression, as
``SessionInfo.artifact_bytes`` counts them. Whether there are quotas at all is asked in the statement that a put needs
anyway; what is used stands beside the bounds and is carried on by every entry written while there are any.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from llmspell.artifacts.kinds import ArtifactQuotaSet
from llmspell.artifacts.projection import QUOTA_SET, STORE_OWNER
from llmspell.errors import InvalidInput, LimitExceeded, NotFound
from llmspell.model.ids import id_text
from llmspell.model.telling import told
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer
    from llmspell.ports.database import Database, Reading

_SQL = queries("llmspell.artifacts")
_MAX = (1 << 63) - 1
Whose = Literal["version", "session", "store"]
Bound = tuple[int, Whose]
"""Bytes, and what may not have more."""
_HINT = "delete artifacts, or raise the quota"


@dataclass(frozen=True, slots=True)
class ArtifactQuota:
    """Bounds (None: none) and what is used: bytes of one version, bytes of all, number of versions."""

    artifact_bytes_max: int | None
    total_bytes_max: int | None
    versions_max: int | None
    used_bytes: int
    used_versions: int

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return asdict(self)


def check_bounds(**bounds: int | None) -> dict[str, int | None]:
    """Bounds as given. Raises InvalidInput (``invalid-quota``)."""
    for name, bound in bounds.items():
        if bound is not None and (type(bound) is not int or not 0 <= bound <= _MAX):
            raise InvalidInput(f"{name} is a whole number from 0, or None for no bound, not {told(bound)}",
                               code="invalid-quota")  # fmt: skip
    return bounds


def read_quota(view: Reading, session: bytes | None) -> ArtifactQuota:
    """The quota of a session, or of the store. What is used is counted when nothing keeps count."""
    row = view.one(_SQL["quota"], (STORE_OWNER if session is None else session,))
    if row is not None:
        return ArtifactQuota(*row)
    used = view.one(_SQL["used_in_store"]) if session is None else view.one(_SQL["used_in_session"], (session,))
    return ArtifactQuota(None, None, None, *(used or (0, 0)))


async def largest_allowed(database: Database, session: bytes) -> Bound | None:
    """How many bytes one version in a session may have at most, were it the only one; None when there is no bound."""
    rows = await database.read(lambda view: view.all(_SQL["quotas_for"], (session,)))
    bounds: list[Bound] = [(row[1], "version") for row in rows if row[1] is not None]
    bounds += [(row[2], _whose(row[0])) for row in rows if row[2] is not None]
    return min(bounds, default=None)


def check_size(size: int, largest: Bound | None) -> None:
    """Raise LimitExceeded when content passes the bound, however much of it is still to come."""
    if largest is not None and size > largest[0]:
        message = f"this content has {size:,} bytes or more, and {largest[0]:,} are allowed"
        raise _refused(largest[1], message, limit=largest[0], size=size)


def _whose(owner: bytes) -> Whose:
    return "session" if owner else "store"


def _refused(whose: Whose, message: str, **facts: Any) -> LimitExceeded:
    if whose == "version":
        return LimitExceeded(message, code="artifact-too-large", **facts)
    if whose == "session":
        return LimitExceeded(message, code="session-quota-exceeded", hint=_HINT, **facts)
    return LimitExceeded(message, code="store-quota-exceeded", hint=_HINT, **facts)


async def is_metered(writer: Writer) -> bool:
    """Whether there are quotas."""
    row = await writer.one(_SQL["any_quota"])
    return bool(row and row[0])


async def demand_room(writer: Writer, session: bytes, sizes: Iterable[int]) -> None:
    """Raise LimitExceeded when versions of these sizes do not fit a quota of the session or the store any more."""
    wanted = list(sizes)
    for owner, artifact_max, total_max, versions_max, used, versions in await writer.all(
        _SQL["quotas_for"], (session,)
    ):
        check_size(max(wanted, default=0), None if artifact_max is None else (artifact_max, "version"))
        whose = f"session {id_text(owner)}" if owner else "the store"
        size = sum(wanted)
        if total_max is not None and used + size > total_max:
            message = f"{whose} holds {used:,} bytes of artifacts; {size:,} more pass its quota of {total_max:,}"
            raise _refused(_whose(owner), message, limit=total_max, used=used, size=size)
        if versions_max is not None and versions + len(wanted) > versions_max:
            message = f"{whose} holds {versions:,} versions of artifacts, and its quota is {versions_max:,}"
            raise _refused(_whose(owner), message, limit=versions_max, used=versions)


async def set_quota(writer: Writer, session: bytes | None, bounds: dict[str, int | None]) -> None:
    """Set the bounds of a session or of the store; nothing is written when they are as wanted."""
    scope = "global"
    if session is not None:
        if await writer.one(_SQL["session_status"], (session,)) is None:
            raise NotFound(f"session {id_text(session)} does not exist", code="session-not-found")
        scope = f"session:{id_text(session)}"
    row = await writer.one(_SQL["quota"], (STORE_OWNER if session is None else session,))
    if tuple(bounds.values()) == (row[:3] if row is not None else (None, None, None)):
        return
    payload = ArtifactQuotaSet(None if session is None else id_text(session), **bounds)
    await writer.append(QUOTA_SET, payload, await writer.scope(scope), "artifact-quota")


async def forget_quota(writer: Writer, session: bytes) -> None:
    """Take a session's quota away, as part of deleting the session."""
    await set_quota(writer, session, dict.fromkeys(("artifact_bytes_max", "total_bytes_max", "versions_max")))
