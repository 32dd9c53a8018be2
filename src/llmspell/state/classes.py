"""State classes: how a value is kept, and what a read gives. Chosen by whoever writes it, never guessed from a key.

    ephemeral   in this process's memory: no entry, version, event or hook; gone with the handle
    trusted     in the store with its entry and event; no before-hooks, no schema
    standard    the same with hooks; scanned for secrets only when the store was opened to do so
    sensitive   sealed by a key that is not in the store; views, events and exports show ``[REDACTED]``
    external    checked for size and depth, secrets replaced before anything is written

A key keeps its class: writing it again without naming one keeps it as it was kept.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Literal, Protocol, get_args

import msgspec
from msgspec.structs import replace

from llmspell.errors import Corrupt, InvalidInput, LimitExceeded
from llmspell.model import limits
from llmspell.model.context import current
from llmspell.model.telling import told
from llmspell.model.values import Held, Written, decode_value, encode_value, plain_value
from llmspell.offload import Inline, Offload
from llmspell.state.kinds import StateSet

_PREPARED_MAX = 10_000
"""Scopes whose key is known to exist; more only ask again."""
_encode = msgspec.json.Encoder().encode


class StateClass(StrEnum):
    """How a value is kept; the text is what the journal says."""

    EPHEMERAL = "ephemeral"
    TRUSTED = "trusted"
    STANDARD = "standard"
    SENSITIVE = "sensitive"
    EXTERNAL = "external"


SecretsPolicy = Literal["off", "warn", "refuse", "protect"]
"""What becomes of a secret found in a standard value: nothing is looked for (the default), it is reported, the write is
refused, or the value is kept as sensitive.
"""


class Finding(Protocol):
    """A secret that was found: where, by a JSON path, and what kind it is."""

    @property
    def path(self) -> str:
        """Where, like ``$.user.token``."""
        ...

    @property
    def kind(self) -> str:
        """What, like ``aws-access-key``."""
        ...


class Redactor(Protocol):
    """Finds secrets in JSON values."""

    def redact(self, value: Any) -> tuple[Any, Sequence[Finding]]:
        """The value with its secrets replaced (itself when there are none), and what was found."""
        ...


class Sealer(Protocol):
    """Seals values for their place, by keys that are not in the store."""

    @property
    def store_id(self) -> str:
        """The store that they are sealed for."""
        ...

    def prepare(self, scope: str) -> None:
        """Make the key of a scope if there is none yet; may wait for a disk and for other processes."""
        ...

    def seal(self, scope: str, key: str, text: bytes) -> bytes:
        """Raises WrongKey, StorageFailed when there is no key to be had."""
        ...

    def unseal(self, scope: str, key: str, sealed: bytes) -> bytes:
        """Raises WrongKey, Corrupt, NotFound (``key-shredded``)."""
        ...

    def demand_keyring(self) -> None:
        """Raises NotFound (``keyring-missing``) when the keyring of what is sealed is not where it should be."""
        ...

    def close(self) -> None:
        """Let go of keys."""
        ...

    def sealer(self) -> Any:
        """The one behind it, for the care of keys."""
        ...


SECRET = frozenset({"sensitive", "external"})
"""Classes of values that may be secrets, or hold some."""
MISMATCH = "schema-mismatch"
"""The code of a refusal by a schema."""


class Schemas(Protocol):
    """Which keys are held against a schema; ``active`` when any is."""

    @property
    def active(self) -> bool:
        """Whether anything is bound, as far as is known here."""
        ...

    async def load(self) -> None:
        """Load what is bound now."""
        ...

    def binds(self, scope: str) -> bool:
        """Whether any key of a scope is held against anything."""
        ...

    def check(self, scope: str, key: str, held: Held, bound: Any = None) -> bytes:
        """The mark of what it was held against: what is bound as far as is known, or ``bound`` says. Raises
        InvalidInput (``schema-mismatch``), NotFound (``unknown-validator``).
        """
        ...


class Kept(Exception):
    """The write has to begin again: the key is kept in another class than the standard one, or (None) values that are
    copied have to be opened, because their new place is held against schemas.
    """

    def __init__(self, state_class: str | None) -> None:
        super().__init__(state_class)
        self.state_class = state_class


class Stored(msgspec.Struct, frozen=True):
    """A value as it goes into its entry: JSON text, its class, and what was replaced in it. ``held``: as schemas saw
    it.
    """

    raw: msgspec.Raw
    state_class: str
    redacted: tuple[dict[str, str], ...] = ()
    held: Held | None = None

    def written(self, version: int) -> int | Written:
        """The version for whoever wrote the value; that of an external one says what was replaced, if only nothing."""
        return Written(version, self.redacted) if self.state_class == "external" or self.redacted else version


class Protection:
    """What the classes need beyond the journal: the sealer, and a redactor that is made when it is first needed."""

    def __init__(
        self,
        sealer: Sealer,
        schemas: Schemas,
        redactor: Callable[[], Redactor],
        secrets: SecretsPolicy = "off",
        warn: Callable[[str, Sequence[Finding]], None] | None = None,
    ) -> None:
        check_policy(secrets)
        self.sealer = sealer
        self.schemas = schemas
        self._redactor = redactor
        self._warn = warn
        self.secrets = secrets
        self.offload: Offload = Inline()
        """Where keys are made; the store of an event loop names another place."""
        self._prepared: set[str] = set()

    async def prepare(self, scope: str) -> None:
        """Have the key of a scope before something is sealed by it, without making an event loop wait."""
        if scope not in self._prepared:
            await self.offload.run(self.sealer.prepare, scope)
            if len(self._prepared) >= _PREPARED_MAX:
                self._prepared.clear()
            self._prepared.add(scope)

    def close(self) -> None:
        """Close the keyring, if it was opened."""
        self.sealer.close()

    async def store(self, scope: str, key: str, value: Any, state_class: str) -> Stored:
        """``value`` as its class keeps it, held against what is bound. A long one is looked through for secrets where
        an event loop does not wait for it. Raises InvalidInput, LimitExceeded, NotFound (``unknown-validator``), and
        what the sealer raises.
        """
        encoded = _encoded(value, state_class)  # A value that is none is refused as such.
        value = plain_value(value)
        held = Held(value, secret=state_class in SECRET or self.secrets != "off")
        if self.schemas.active and state_class != "trusted":
            held = replace(held, mark=self.schemas.check(scope, key, held))
        searched = state_class == "external" or (state_class == "standard" and self.secrets != "off")
        if searched and len(encoded) > limits.SCAN_INLINE_BYTES:
            own = decode_value(encoded)  # Whoever gave the value may go on changing it.
            return replace(await self.offload.run(self._keep, scope, key, own, state_class, encoded), held=held)
        return replace(self._keep(scope, key, value, state_class, encoded), held=held)

    def keep(self, scope: str, key: str, value: Any, state_class: str) -> Stored:
        """The same of a value that was held against its schema already."""
        return self._keep(scope, key, value, state_class, _encoded(value, state_class))

    def shown(self, payload: StateSet) -> Any:
        """The value of an entry for whoever may read it. Raises WrongKey, Corrupt, NotFound."""
        if payload.state_class != "sensitive":
            return decode_value(bytes(payload.value))
        hide()
        text = decode_value(bytes(payload.value))
        if type(text) is not str:
            raise Corrupt(f"the sealed value of state key {payload.key!r} is no text", key=payload.key)
        scope = payload.scope if payload.sealed_for is msgspec.UNSET else payload.sealed_for
        return decode_value(self.opening(scope)(f"state/{payload.key}", text))

    def scan(self, value: Any) -> Any:
        """A value from outside with its secrets replaced: what agents say is kept like external values."""
        return self.redact(value)[0]

    def redact(self, value: Any) -> tuple[Any, Sequence[Finding]]:
        """The same, with what was found."""
        clean, found = self._redactor().redact(value)
        if found:
            hide()
        return clean, found

    def sealing(self, scope: str) -> Callable[[str, bytes], str]:
        """Seals texts under a scope: of a path, its bytes."""
        return lambda path, text: b64encode(self.sealer.seal(scope, path, text)).decode()

    def opening(self, scope: str) -> Callable[[str, str], bytes]:
        """The inverse of ``sealing``."""

        def opened(path: str, text: str) -> bytes:
            try:
                sealed = b64decode(text, validate=True)
            except ValueError as exc:
                raise Corrupt(f"the sealed text of {path} is no base64") from exc
            return self.sealer.unseal(scope, path, sealed)

        return opened

    def _keep(self, scope: str, key: str, value: Any, state_class: str, encoded: bytes) -> Stored:
        if state_class == "external":
            return self._external(value, encoded)
        if state_class == "standard" and self.secrets != "off":
            found = self._redactor().redact(value)[1]
            if found:
                return self._found(scope, key, encoded, found)
        if state_class == "sensitive":
            return self._sealed(scope, key, encoded)
        return Stored(msgspec.Raw(encoded), state_class)

    def _sealed(self, scope: str, key: str, encoded: bytes) -> Stored:
        text = self.sealing(scope)(f"state/{key}", encoded)
        return Stored(msgspec.Raw(b'"' + text.encode() + b'"'), "sensitive")

    def _external(self, value: Any, encoded: bytes) -> Stored:
        if _deeper(value, limits.EXTERNAL_DEPTH_MAX):
            raise LimitExceeded(
                f"an external value is nested at most {limits.EXTERNAL_DEPTH_MAX} deep", code="value-depth"
            )
        clean, found = self._redactor().redact(value)
        raw = encoded if clean is value else encode_value(clean)
        return Stored(msgspec.Raw(raw), "external", tuple(_told(one) for one in found))

    def _found(self, scope: str, key: str, encoded: bytes, found: Sequence[Finding]) -> Stored:
        if self.secrets == "protect":
            return self._sealed(scope, key, encoded)
        if self.secrets == "refuse":
            raise InvalidInput(
                f"the value of {key!r} holds what looks like a secret ({found[0].kind} at {found[0].path})",
                code="secret-found",
                hint="set it with the class sensitive, or external to have it replaced",
                findings=[_told(one) for one in found],
            )
        if self._warn is not None:
            self._warn(key, found)
        return Stored(msgspec.Raw(encoded), "standard", tuple(_told(one) for one in found))


def check_policy(secrets: object) -> None:
    """Refuse what is no policy. Raises InvalidInput (``invalid-policy``)."""
    if secrets not in get_args(SecretsPolicy):
        raise InvalidInput(
            f"secrets is one of {', '.join(get_args(SecretsPolicy))}, not {secrets!r}", code="invalid-policy"
        )


def check_class(state_class: object) -> str | None:
    """A class by name or member; None for none. Raises InvalidInput (``invalid-class``)."""
    if state_class is None:
        return None
    try:
        return str(StateClass(state_class))  # type: ignore[arg-type]
    except ValueError:
        raise InvalidInput(
            f"a state class is one of {', '.join(StateClass)}, not {told(state_class)}", code="invalid-class"
        ) from None


def hide() -> None:
    """A step of a script that is under way here handles a secret: its record is sealed."""
    step = current.get().step
    if step is not None:
        step.hide()


def _encoded(value: Any, state_class: str) -> bytes:
    external = state_class == "external"
    return encode_value(value, bytes_max=limits.EXTERNAL_BYTES_MAX if external else limits.VALUE_BYTES_MAX)


def _told(found: Finding) -> dict[str, str]:
    return {"path": found.path, "kind": found.kind}


def _deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [item for one in level if type(one) in (dict, list) for item in _items(one)]
        if not level:
            return False
    return any(type(one) in (dict, list) for one in level)


def _items(value: Any) -> Any:
    return value.values() if type(value) is dict else value
