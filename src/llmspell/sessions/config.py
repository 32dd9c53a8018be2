"""How a session wants to be treated: when it is saved by itself, what it may hold, how long it is kept.

Stored with the session as part of its ``config``, beside settings of the caller's own, and the same for good: whoever
opens the session, in whatever process, finds it so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from llmspell.errors import InvalidInput
from llmspell.model.labels import check_metadata
from llmspell.model.telling import told

_INT_MAX = (1 << 63) - 1
SECONDS_MAX = 100 * 365 * 86400
INTERVAL_S_MIN = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """What a session may hold at most; None: any. See ``SessionConfig``.

    ``duration_s`` seconds since its creation in which it takes changes; ``artifacts`` stored versions that are not
    deleted; ``storage_bytes`` their sizes together; ``operations`` entries written in it.
    """

    duration_s: float | None = None
    artifacts: int | None = None
    storage_bytes: int | None = None
    operations: int | None = None

    def __post_init__(self) -> None:
        _seconds(self.duration_s, "limits.duration_s")
        for name in ("artifacts", "storage_bytes", "operations"):
            _count(getattr(self, name), f"limits.{name}", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRetention:
    """How long the session is kept, whatever the store's policy says: ``keep`` for ever, or ``max_age_s`` seconds since
    anything was done in it.
    """

    keep: bool = False
    max_age_s: float | None = None

    def __post_init__(self) -> None:
        if type(self.keep) is not bool:
            raise _wrong("retention.keep is True or False", self.keep)
        _seconds(self.max_age_s, "retention.max_age_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """Settings of one session, given to ``sessions.create(config=…)``; ``info.settings`` gives them back.

    ``auto_save_interval_s``: saved in the background when so many seconds have passed and something changed;
    ``auto_save_changes``: when so many entries were written since it was saved last. ``limits``: what it may hold.
    ``retention``: how long it is kept. ``own``: the caller's own settings, kept as they are. Raises InvalidInput
    (``invalid-config``).
    """

    auto_save_interval_s: float | None = None
    auto_save_changes: int | None = None
    limits: SessionLimits = field(default_factory=SessionLimits)
    retention: SessionRetention = field(default_factory=SessionRetention)
    own: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _seconds(self.auto_save_interval_s, "auto_save_interval_s", INTERVAL_S_MIN)
        _count(self.auto_save_changes, "auto_save_changes", 1)
        for name, kind in (("limits", SessionLimits), ("retention", SessionRetention)):
            if not isinstance(getattr(self, name), kind):
                raise _wrong(f"{name} is a {kind.__name__}", getattr(self, name))
        own: object = self.own
        if not isinstance(own, Mapping) or any(_means(name, value) for name, value in own.items()):
            raise _wrong("own settings are a dict without those of a SessionConfig", own)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """The settings that a dict means; all else is the caller's own, also ``limits`` or ``retention`` that are no
        dicts.
        """
        given = {name: value for name, value in stored.items() if _means(name, value)}
        for name, kind in (("limits", SessionLimits), ("retention", SessionRetention)):
            if name in given:
                given[name] = _part(kind, name, given[name])
        return cls(**given, own={name: value for name, value in stored.items() if not _means(name, value)})

    def to_dict(self) -> dict[str, Any]:
        """As it is stored: what was given, and nothing else."""
        found: dict[str, Any] = {}
        for name in ("auto_save_interval_s", "auto_save_changes"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        for name in ("limits", "retention"):
            part = getattr(self, name)
            asked = {one: getattr(part, one) for one in part.__slots__}
            given = {one: value for one, value in asked.items() if value is not None and value is not False}  # 0 stays.
            if given:
                found[name] = given
        return found | dict(self.own)


def _means(name: str, value: object) -> bool:
    """Whether a stored setting is one of ours."""
    if name in {"auto_save_interval_s", "auto_save_changes"}:
        return True
    return name in {"limits", "retention"} and isinstance(value, Mapping | SessionLimits | SessionRetention)


def check_config(config: object) -> dict[str, Any]:
    """A config as it is stored. Raises InvalidInput (``invalid-config``), LimitExceeded."""
    if config is None:
        return {}
    if isinstance(config, SessionConfig):
        return check_metadata(config.to_dict())
    if not isinstance(config, Mapping):
        raise _wrong("config is a SessionConfig or a dict", config)
    plain = check_metadata(config)
    SessionConfig.of(plain)
    return plain


def _part(kind: type[Any], name: str, given: Any) -> Any:
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping) or not set(given) <= set(kind.__slots__):
        raise _wrong(f"{name} is a dict of {', '.join(kind.__slots__)}", given)
    return kind(**given)


def _seconds(value: object, name: str, least: float = 0) -> None:
    if value is None:
        return
    if type(value) not in {int, float} or not least <= value <= SECONDS_MAX:  # type: ignore[operator]
        raise _wrong(f"{name} is a number of seconds from {least}", value)


def _count(value: object, name: str, least: int) -> None:
    if value is not None and (type(value) is not int or not least <= value <= _INT_MAX):
        raise _wrong(f"{name} is a whole number from {least}", value)


def _wrong(rule: str, value: object) -> InvalidInput:
    return InvalidInput(f"{rule}, not {told(value)}", code="invalid-config")
