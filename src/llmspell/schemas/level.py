"""What versions of a schema promise each other."""

from __future__ import annotations

from enum import StrEnum

from llmspell.errors import InvalidInput


class Level(StrEnum):
    """Kept within a line of versions (the same major); a new major says that it breaks. Pre-releases promise nothing.

    The transitive forms hold against all versions of the line, the others against the neighbouring ones.
    """

    NONE = "none"
    BACKWARD = "backward"
    """The newer version reads what was written by the older."""
    FORWARD = "forward"
    """The older version reads what the newer writes."""
    FULL = "full"
    BACKWARD_TRANSITIVE = "backward_transitive"
    FORWARD_TRANSITIVE = "forward_transitive"
    FULL_TRANSITIVE = "full_transitive"

    @classmethod
    def parse(cls, text: str) -> Level:
        """The level of a name, in lower or upper case. Raises InvalidInput (``invalid-schema``)."""
        try:
            return cls(text.lower())
        except (ValueError, AttributeError):
            raise InvalidInput(
                f"there is no compatibility level {str(text)[:40]!r}; there are {', '.join(cls)}", code="invalid-schema"
            ) from None

    @property
    def transitive(self) -> bool:
        """Whether it holds against all versions of the line."""
        return self.endswith("_transitive")

    @property
    def directions(self) -> frozenset[str]:
        """``backward``, ``forward``, both or neither."""
        word = self.removesuffix("_transitive")
        return frozenset({"none": (), "full": ("backward", "forward")}.get(word, (word,)))
