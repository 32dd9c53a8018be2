"""The kinds of entries that a bundle carries, and what must hold of their payloads, whoever made the file.

A payload that passed is one that the rooms themselves could have written: their own rules are asked here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from llmspell.artifacts.bundles.layout import NUMBER_MAX
from llmspell.artifacts.captures.kinds import ArtifactCaptured, CaptureRulesSet, CaptureSkipped
from llmspell.artifacts.captures.rule import SOURCES, CaptureRule
from llmspell.artifacts.kinds import (
    ArtifactDeleted,
    ArtifactErased,
    ArtifactQuotaSet,
    ArtifactRenamed,
    ArtifactStored,
    ArtifactTagged,
    ArtifactUndeleted,
    ArtifactUpdated,
)
from llmspell.artifacts.projection import KINDS as ARTIFACT_KINDS
from llmspell.artifacts.quotas import check_bounds
from llmspell.artifacts.relations.kinds import ArtifactRelated, ArtifactUnrelated, Related
from llmspell.artifacts.rules import (
    check_artifact_name,
    check_fields,
    check_mime,
    check_sources,
    check_type,
    check_version_number,
)
from llmspell.artifacts.version_names import check_version_label
from llmspell.errors import InvalidInput, LlmspellError
from llmspell.events.kinds import KINDS as EVENT_KINDS
from llmspell.events.kinds import EventPublished
from llmspell.journal.kinds import CORRELATION_OPENED, CorrelationOpened, Kind
from llmspell.model import limits
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.keys import check_key
from llmspell.model.labels import check_label, check_metadata, check_tags, check_text
from llmspell.model.session import check_status
from llmspell.model.values import decode_value, encode_value
from llmspell.portable.frames import refuse
from llmspell.portable.records import Carried, Header
from llmspell.runs.projection import KINDS as RUN_KINDS
from llmspell.sessions.config import check_config
from llmspell.sessions.kinds import (
    SessionCheckpointed,
    SessionCreated,
    SessionMoved,
    SessionRestored,
    SessionSaved,
    SessionUpdated,
)
from llmspell.sessions.projection import KINDS as SESSION_KINDS
from llmspell.sessions.steps import check_fields as check_session_fields
from llmspell.state.classes import check_class
from llmspell.state.kinds import StateDefaultSet, StateDeleted, StateExpired, StateSet
from llmspell.state.projection import KINDS as STATE_KINDS

_DIGEST_CHARS, _INT_MAX = 64, (1 << 63) - 1


def payload_of(carried: Carried, header: Header) -> Any:
    """The payload of an entry of a bundle, checked. Raises Corrupt (``invalid-bundle``)."""
    kind = CARRIED.get(carried.kind)
    if kind is None or carried.kind_version > kind.version:
        refuse(f"entry {carried.seq} is of kind {carried.kind!r} {carried.kind_version}, which no bundle carries here")
    try:
        payload = _DECODE[carried.kind](carried.payload)
        check = _CHECKS.get(type(payload), _check_plain)
        check(payload, header)
    except (LlmspellError, msgspec.DecodeError, ValueError, TypeError, RecursionError) as exc:
        if getattr(exc, "code", "") == "invalid-bundle":
            raise
        refuse(f"entry {carried.seq} ({carried.kind}) breaks a rule: {exc}")
    return payload


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidInput(otherwise)


def _number(value: int | None, what: str) -> None:
    _require(value is None or 0 <= value <= _INT_MAX, f"{what} is an odd number")


def _digest(text: str) -> None:
    _require(len(text) == _DIGEST_CHARS and set(text) <= set("0123456789abcdef"), f"{text[:80]!r} is no digest")


def _id(text: str) -> None:
    _require(id_text(id_bytes(text)) == text, f"{text[:80]!r} is no id in its usual form")


def _mine(id_: str, header: Header) -> None:
    _require(id_ == header.session, "it is about another session")


def _check_set(payload: StateSet, header: Header) -> None:
    _require(payload.scope == f"session:{header.session}", "it is about another scope")
    _require(check_key(payload.key) == payload.key, "its key is in no normal form")
    _number(payload.expires_at, "expires_at")
    _require(check_class(payload.state_class) != "ephemeral", "what is ephemeral is not stored")
    _require(
        payload.state_class != "sensitive" or header.sensitive == "carried", "a sealed value cannot be opened elsewhere"
    )
    _require(payload.sealed_for is msgspec.UNSET, "it is sealed for another scope")
    payload.value = msgspec.Raw(encode_value(decode_value(bytes(payload.value))))
    if payload.redacted is not msgspec.UNSET:
        _require(len(payload.redacted) <= limits.BATCH_KEYS_MAX, "too much was replaced in it")
        _require(all(one.keys() == {"path", "kind"} for one in payload.redacted), "what was replaced is not told")
    if payload.artifacts is not msgspec.UNSET:
        _require(len(payload.artifacts) <= limits.TAGS_MAX, "it names too many artifacts")
        for artifact in payload.artifacts:
            _id(artifact)


def _check_default(payload: StateDefaultSet, header: Header) -> None:
    _require(payload.scope == f"session:{header.session}", "it is about another scope")
    _require(check_class(payload.state_class) != "ephemeral", "what is ephemeral is not stored")


def _check_deleted(payload: StateDeleted, header: Header) -> None:
    _require(payload.scope == f"session:{header.session}", "it is about another scope")
    _require(check_key(payload.key) == payload.key, "its key is in no normal form")


def _check_created(payload: SessionCreated, header: Header) -> None:
    _mine(payload.id, header)
    _descriptive({
        "name": payload.name, "description": payload.description, "tags": payload.tags, "metadata": payload.metadata,
    })  # fmt: skip
    check_config(payload.config)
    if payload.created_by is not None:
        check_label(payload.created_by, "created_by")
    if payload.parent is not None:
        _id(payload.parent)
        _require(payload.parent != header.session, "it is above itself")
    _id(payload.correlation)


def _check_updated(payload: SessionUpdated, header: Header) -> None:
    _mine(payload.id, header)
    _descriptive(payload.changed)


def _descriptive(fields: dict[str, Any]) -> None:
    _require(fields.keys() <= {"name", "description", "tags", "metadata"}, "it changes what is no field")
    _require(check_session_fields(fields) == fields, "its fields are in no normal form")


def _check_moved(payload: SessionMoved, header: Header) -> None:
    _mine(payload.id, header)
    check_status(payload.was)
    check_status(payload.now)
    if payload.reason is not None:
        check_text(payload.reason, "a reason")


def _check_saved(payload: SessionSaved | SessionRestored, header: Header) -> None:
    _mine(payload.id, header)
    _digest(payload.state_hash)
    if isinstance(payload, SessionRestored):
        _number(payload.seq, "seq")
        if payload.label is not None:
            check_label(payload.label, "a label", empty=True)


def _check_checkpoint(payload: SessionCheckpointed, header: Header) -> None:
    _mine(payload.id, header)
    _digest(payload.state_hash)
    check_label(payload.label, "a checkpoint's label")


def _check_stored(payload: ArtifactStored, header: Header) -> None:
    _mine(payload.session, header)
    _id(payload.id)
    _require(check_artifact_name(payload.name) == payload.name, "its name is in no normal form")
    _require(check_version_number(payload.version) <= NUMBER_MAX, "its version leaves no room for others")
    check_type(payload.type)
    check_mime(payload.mime_type)
    check_text(payload.description, "a description")
    _require(check_tags(payload.tags) == payload.tags, "its tags are in no normal form")
    check_metadata(payload.metadata)
    check_sources(payload.derived_from)
    _number(payload.size, "size")
    _digest(payload.digest)


def _check_artifact_updated(payload: ArtifactUpdated, _: Header) -> None:
    _id(payload.id)
    _require(payload.changed.keys() <= {"description", "tags", "metadata", "mime_type"}, "it changes what is no field")
    check_fields(payload.changed)


def _check_version(
    payload: ArtifactDeleted | ArtifactUndeleted | ArtifactErased | ArtifactTagged, header: Header
) -> None:
    _mine(payload.session, header)
    _require(not getattr(payload, "inherited", False), "it is about what only a fork has")
    check_artifact_name(payload.name)
    check_version_number(payload.version)
    if isinstance(payload, ArtifactTagged):
        _require(check_version_label(payload.label) == payload.label, "its label is in no normal form")


def _check_renamed(payload: ArtifactRenamed, header: Header) -> None:
    _mine(payload.session, header)
    for name in (payload.name, payload.to):
        _require(check_artifact_name(name) == name, "a name in it is in no normal form")


def _check_related(payload: ArtifactRelated, header: Header) -> None:
    _mine(payload.session, header)
    _id(payload.artifact)
    _id(payload.other)
    _require(payload.kind in set(Related), "it is no relation")


def _check_quota(payload: ArtifactQuotaSet, header: Header) -> None:
    _mine(payload.session or "", header)
    check_bounds(
        artifact_bytes_max=payload.artifact_bytes_max, total_bytes_max=payload.total_bytes_max,
        versions_max=payload.versions_max,
    )  # fmt: skip


def _check_capture_rules(payload: CaptureRulesSet, header: Header) -> None:
    _mine(payload.session or "", header)
    _require(len(payload.rules) <= limits.CAPTURE_RULES_MAX, "there are too many rules in it")
    rules = [CaptureRule.of(one) for one in payload.rules]
    _require(len({rule.name for rule in rules}) == len(rules), "two rules in it have one name")


def _check_capture(payload: ArtifactCaptured | CaptureSkipped, header: Header) -> None:
    _mine(payload.session, header)
    _require(payload.owner in {"", header.session}, "it is by a rule of another session")
    _require(payload.source in SOURCES, "it comes from nowhere")
    check_label(payload.rule, "a rule's name", chars_max=limits.TAG_CHARS_MAX, empty=True)
    check_label(payload.name, "a name")
    _number(payload.size, "size")
    if isinstance(payload, ArtifactCaptured):
        _id(payload.id)
        for kind, count in payload.redacted.items():
            check_label(kind, "a kind of secret")
            _number(count, "a count")
    else:
        check_label(payload.reason, "a reason")
        check_mime(payload.mime_type)


def _check_event(payload: EventPublished, _: Header) -> None:
    check_label(payload.type, "an event's type", chars_max=limits.EVENT_TYPE_CHARS_MAX)
    encode_value(payload.data)
    check_tags(payload.tags)
    _number(payload.expires_at, "expires_at")


def _check_correlation(payload: CorrelationOpened, _: Header) -> None:
    check_label(payload.name, "a correlation's name")
    for one in (payload.id, payload.parent):
        _require(one is None or len(bytes.fromhex(one)) == 16, "a correlation's id is none")


def _check_plain(payload: Any, header: Header) -> None:
    """Runs' entries: their types are all that is asked of them here; whoever resumes one checks its record."""
    _id(payload.id)
    session = getattr(payload, "session", None)
    if session is not None:
        _mine(session, header)


_CHECKS: dict[type[Any], Callable[[Any, Header], None]] = {
    StateSet: _check_set,
    StateDeleted: _check_deleted,
    StateExpired: _check_deleted,
    StateDefaultSet: _check_default,
    SessionCreated: _check_created,
    SessionUpdated: _check_updated,
    SessionMoved: _check_moved,
    SessionSaved: _check_saved,
    SessionRestored: _check_saved,
    SessionCheckpointed: _check_checkpoint,
    ArtifactStored: _check_stored,
    ArtifactUpdated: _check_artifact_updated,
    ArtifactDeleted: _check_version,
    ArtifactUndeleted: _check_version,
    ArtifactErased: _check_version,
    ArtifactQuotaSet: _check_quota,
    CaptureRulesSet: _check_capture_rules,
    ArtifactCaptured: _check_capture,
    CaptureSkipped: _check_capture,
    ArtifactTagged: _check_version,
    ArtifactRenamed: _check_renamed,
    ArtifactRelated: _check_related,
    ArtifactUnrelated: _check_related,
    EventPublished: _check_event,
    CorrelationOpened: _check_correlation,
}
CARRIED: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *STATE_KINDS, *SESSION_KINDS, *ARTIFACT_KINDS, *EVENT_KINDS, CORRELATION_OPENED, *RUN_KINDS
    )
    if kind.payload in _CHECKS or kind in RUN_KINDS
}  # fmt: skip
"""Kinds that a bundle carries, by name. Others of a session's timeline are counted as left out."""
_DECODE = {name: msgspec.json.Decoder(kind.payload).decode for name, kind in CARRIED.items()}
