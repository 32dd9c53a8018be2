"""How many of something there are, counted no further than needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.model.telling import told


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are: ``number`` of them, or more when it is not ``exact``; as text ``1000+`` then."""

    number: int
    exact: bool

    def __str__(self) -> str:
        return str(self.number) if self.exact else f"{self.number}+"

    def __int__(self) -> int:
        return self.number

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {"number": self.number, "exact": self.exact, "text": str(self)}


def check_exact(exact: bool) -> bool:
    """Whether a count goes on to the end. Raises InvalidInput (``invalid-input``) for what is neither yes nor no."""
    if type(exact) is not bool:
        raise InvalidInput(f"exact is True or False, not {told(exact)}", code="invalid-input")
    return exact
