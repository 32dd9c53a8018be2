"""A few reading connections, kept open between reads: opening one costs more than most reads do."""

from __future__ import annotations

from pathlib import Path

import apsw

from llmspell.adapters.sqlite.connection import Durability, connect
from llmspell.adapters.sqlite.errors import map_error

READERS_MAX = 8


class Readers:
    """Connections for whoever reads now. Safe to share among threads: a list pops and appends as one step."""

    def __init__(self, path: Path | str, durability: Durability, *, read_only: bool) -> None:
        self._path = path
        self._durability: Durability = durability
        self._read_only = read_only
        self._idle: list[apsw.Connection] = []
        self._closed = False

    def take(self) -> apsw.Connection:
        """An idle connection, or a new one. Raises mapped errors."""
        try:
            return self._idle.pop()
        except IndexError:
            try:
                return connect(self._path, "reader", self._durability, read_only=self._read_only)
            except apsw.Error as exc:
                raise map_error(exc, f"open {self._path}") from exc

    def give_back(self, connection: apsw.Connection) -> None:
        """Keep it for the next read, unless there are enough."""
        if len(self._idle) < READERS_MAX and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close those that are idle; the others are closed when they come back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
