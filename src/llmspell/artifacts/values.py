"""What comparisons of artifacts give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmspell.artifacts.info import ArtifactInfo


@dataclass(frozen=True, slots=True)
class ArtifactDifference:
    """A name whose artifacts differ between two sessions. ``change`` is ``added``, ``removed`` or ``changed``.

    ``before`` and ``after`` are the newest versions (None: there is none); ``versions`` the numbers of those that only
    one of them has, or that differ in content or fields.
    """

    name: str
    change: str
    before: ArtifactInfo | None
    after: ArtifactInfo | None
    versions: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "name": self.name,
            "change": self.change,
            "before": self.before and self.before.to_dict(),
            "after": self.after and self.after.to_dict(),
            "versions": list(self.versions),
        }
