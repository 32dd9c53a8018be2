"""What the journal says about captures. Ids are UUID text; ``owner`` is whose rule it is: a session, "" the store."""

from __future__ import annotations

from typing import Any

import msgspec


class CaptureRulesSet(msgspec.Struct):
    """The rules of a session, or with ``session`` None of the whole store, in their order; those before end."""

    session: str | None
    rules: list[dict[str, Any]]


class ArtifactCaptured(msgspec.Struct, omit_defaults=True):
    """The version stored by the entry before was captured: from where, by which rule, and what was replaced in it.

    ``size`` is that of what is stored; ``redacted`` says how many secrets of each kind were replaced.
    """

    id: str
    session: str
    owner: str
    rule: str
    source: str
    name: str
    size: int
    privacy: str
    error: bool = False
    redacted: dict[str, int] = {}


class CaptureSkipped(msgspec.Struct, omit_defaults=True):
    """An offer became nothing, and somebody wanted to know. ``rule`` "" is none; ``size`` None was not known."""

    session: str
    owner: str
    rule: str
    source: str
    name: str
    reason: str
    mime_type: str
    size: int | None = None
    error: bool = False
