"""How a session is named by whoever asks for it: by its id, its unique name, a handle or an info."""

from __future__ import annotations

from typing import Protocol

from llmspell.errors import InvalidInput
from llmspell.model.telling import told


class HasId(Protocol):
    """A handle or an info of a session."""

    @property
    def id(self) -> str:
        """The session's id."""
        ...


def named(session: object) -> str:
    """The id or name of a session that is given by it, or by a handle or an info. Raises InvalidInput."""
    found = session if isinstance(session, str) else getattr(session, "id", None)
    if type(found) is not str:
        raise InvalidInput(f"a session is given by its id, name or handle, not {told(session)}", code="invalid-id")
    return found
