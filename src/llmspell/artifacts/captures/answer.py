"""What an offer came to, and how much rules captured so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llmspell.artifacts.info import ArtifactInfo

CAPTURED = "captured"


@dataclass(frozen=True, slots=True)
class Capture:
    """What became of an offer.

    ``captured``: whether it is an artifact now; ``artifact`` is that version, else None. ``rule`` decided, of ``owner``
    (``session`` or ``store``), both None where no rule was about it. ``reason`` is ``captured``, or why not:

    ``no-rule``; ``rule`` (it says skip); ``too-small``, ``too-large``; ``not-sampled``; ``secret-found``,
    ``secret-in-binary``, ``not-scannable``; ``capture-cap-reached`` (``count_max``, ``bytes_max``); ``vetoed`` by a
    hook; ``invalid-artifact`` (a validator); or the code of the limit or quota that was reached. ``detail`` says more.

    ``size``: bytes as offered, None for a stream that was not read to its end; ``redacted``: how many secrets of each
    kind were replaced, in the content and in what was said about it.
    """

    reason: str
    rule: str | None = None
    owner: str | None = None
    artifact: ArtifactInfo | None = None
    detail: str = ""
    size: int | None = None
    redacted: dict[str, int] = field(default_factory=dict)

    @property
    def captured(self) -> bool:
        """Whether it is an artifact now."""
        return self.artifact is not None

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        found = {"captured": self.captured, **{name: getattr(self, name) for name in self.__slots__}}
        found["artifact"] = None if self.artifact is None else self.artifact.to_dict()
        return found


@dataclass(frozen=True, slots=True)
class CaptureCount:
    """What one rule did in a session: versions it captured, their bytes as stored, and offers it skipped that were
    recorded. ``rule`` None counts what no rule was about.
    """

    rule: str | None
    owner: str | None
    captured: int
    skipped: int
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {name: getattr(self, name) for name in self.__slots__}
