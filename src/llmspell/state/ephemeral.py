"""Ephemeral state: values in this process's memory, shared by the handles of one store, gone with it."""

from __future__ import annotations

from threading import RLock
from typing import Any

from llmspell.errors import InvalidInput, LimitExceeded
from llmspell.model import limits
from llmspell.model.values import decode_value, encode_value


class Ephemeral:
    """Values by scope and key, as JSON text, so that nobody holds a reference into them. Bounded by count."""

    def __init__(self) -> None:
        self.scopes: dict[str, dict[str, tuple[bytes, int, int | None]]] = {}
        self._count = 0
        self._lock = RLock()

    def set(self, scope: str, key: str, value: Any, at: int, expires_at: int | None) -> None:
        """Keep a value. Raises LimitExceeded (``too-many-ephemeral``), and what encoding raises."""
        encoded = encode_value(value)
        with self._lock:
            keys = self.scopes.get(scope, {})
            if key not in keys:
                self._demand_room(at)
                self._count += 1
            self.scopes.setdefault(scope, {})[key] = encoded, at, expires_at

    def get(self, scope: str, key: str, now: int) -> tuple[Any, int, int | None] | None:
        """The value, when it was set and when it expires; None when there is none (any more)."""
        found = self.scopes.get(scope, {}).get(key)
        if found is None:
            return None
        if found[2] is not None and found[2] <= now:
            self.delete(scope, key)
            return None
        return decode_value(found[0]), found[1], found[2]

    def delete(self, scope: str, key: str) -> bool:
        """Whether there was one."""
        with self._lock:
            keys = self.scopes.get(scope, {})
            if keys.pop(key, None) is None:
                return False
            self._count -= 1
            if not keys:
                self.scopes.pop(scope, None)
            return True

    def keys(self, scope: str, now: int) -> list[str]:
        """Keys with a value, in code point order."""
        found = self.scopes.get(scope, {})
        return sorted(key for key, (_, _, expires_at) in list(found.items()) if expires_at is None or expires_at > now)

    def clear(self, scope: str, now: int) -> int:
        """Forget a scope's values; how many there were."""
        with self._lock:
            count = len(self.keys(scope, now))
            self._count -= len(self.scopes.pop(scope, {}))
            return count

    def forget(self, scope: str) -> None:
        """Forget a scope's values, those that are over too."""
        with self._lock:
            self._count -= len(self.scopes.pop(scope, {}))

    def _demand_room(self, now: int) -> None:
        if self._count < limits.EPHEMERAL_KEYS_MAX:
            return
        for scope in list(self.scopes):
            for key, (_, _, expires_at) in list(self.scopes[scope].items()):
                if expires_at is not None and expires_at <= now:
                    self.delete(scope, key)
        if self._count >= limits.EPHEMERAL_KEYS_MAX:
            raise LimitExceeded(
                f"{limits.EPHEMERAL_KEYS_MAX:,} ephemeral keys are kept already",
                code="too-many-ephemeral",
                hint="delete some, give them a ttl_s, or keep them in the store",
            )


def check_unversioned(key: str, if_version: int | None) -> str:
    """An ephemeral key, unless a version of it is to be compared. Raises InvalidInput (``no-versions``)."""
    if if_version is not None:
        raise InvalidInput("an ephemeral key has no versions to compare", code="no-versions")
    return key
