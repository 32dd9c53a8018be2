"""A capture rule: which offers it is about, and what becomes of them. Data, checked when it is made.

Patterns are globs of bounded length, matched without backtracking from one star into another, so that no rule can
stall a run. What is sampled depends on the offer alone: a re-run decides the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, Literal, Self, get_args

from llmspell.artifacts.patterns import matching
from llmspell.artifacts.rules import check_type
from llmspell.errors import InvalidInput, LlmspellError
from llmspell.model import limits
from llmspell.model.artifact_name import check_artifact_name
from llmspell.model.labels import check_label, check_metadata, check_tags
from llmspell.model.telling import told

CaptureSource = Literal["tool", "agent", "user"]
"""Who an output comes from."""
Action = Literal["capture", "skip"]
Privacy = Literal["redact", "skip", "seal", "keep"]
SOURCES: tuple[CaptureSource, ...] = get_args(CaptureSource)
TYPES: dict[str, str] = {"tool": "tool_result", "agent": "agent_output", "user": "user_input"}
"""The type of an artifact by its source, unless the rule names another."""
CODE = "invalid-capture-rule"
_INT_MAX = (1 << 63) - 1
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PLACES = ("source", "name", "rule")
_OF_SKIPPING = frozenset(("name", "action", "sources", "names", "mime_types", "errors", "record_skips"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRule:
    """What becomes of some offers. The first rule that is about an offer decides; left out, a condition holds for all.

    ``name``           tells rules apart
    ``action``         ``capture``, or ``skip``: nothing of these is kept; such a rule has but conditions
    ``sources``        ``tool``, ``agent``, ``user``
    ``names``          globs of the tool's, agent's or input's name: ``search_*``
    ``mime_types``     globs of the MIME type: ``text/*``
    ``errors``         only outputs that are errors (True), or only others (False)
    ``size_min`` ``size_max``  bytes, inclusive; others are skipped. A stream is given up when it passes the bound
    ``sample``         the share that is kept, 0 to 1: decided by the source, the name, the first 64 KiB of the content
                       and ``seed``, so the same offer is always decided in the same way
    ``privacy``        ``redact``: secrets that are found are replaced; ``skip``: what holds some is skipped; ``seal``:
                       kept encrypted by the session's key; ``keep``: as it is, and nothing is looked for
    ``store_as``       the artifact's name; ``{source}``, ``{name}`` and ``{rule}`` stand for those of the offer
    ``type``           of the artifact; left out: tool_result, agent_output, user_input
    ``tags`` ``metadata``  given to each, beside those of the offer, which go before
    ``count_max`` ``bytes_max``  how much this rule captures in one session, deleted artifacts included
    ``record_skips``   whether an entry is written for each offer that this rule skips

    Raises InvalidInput (``invalid-capture-rule``, with ``details["field"]``).
    """

    name: str
    action: Action = "capture"
    sources: tuple[CaptureSource, ...] = ()
    names: tuple[str, ...] = ()
    mime_types: tuple[str, ...] = ()
    errors: bool | None = None
    size_min: int = 0
    size_max: int | None = None
    sample: float = 1.0
    seed: str = ""
    privacy: Privacy = "redact"
    store_as: str = "{source}/{name}"
    type: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    count_max: int | None = None
    bytes_max: int | None = None
    record_skips: bool = False

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            given = getattr(self, name)
            try:
                checked = check(given)
            except LlmspellError as exc:
                raise InvalidInput(f"{name}: {exc.message}", code=CODE, field=name) from exc
            object.__setattr__(self, name, checked)
        if self.action == "skip":
            for name in self.to_dict().keys() - _OF_SKIPPING:
                raise _wrong(name, "for rules that capture", getattr(self, name))
        if self.size_max is not None and self.size_max < self.size_min:
            raise _wrong("size_max", "at least size_min", self.size_max)

    @classmethod
    def of(cls, given: object) -> Self:
        """The rule that a dict means, or the rule itself. Raises InvalidInput (``invalid-capture-rule``)."""
        if isinstance(given, cls):
            return given
        known = {one.name for one in fields(cls)}
        if not isinstance(given, Mapping) or "name" not in given or not set(given) <= known:
            extra = sorted(map(str, set(given) - known)) if isinstance(given, Mapping) else []
            what = f"unknown: {', '.join(extra)[:200]}" if extra else f"not {told(given)}"
            raise InvalidInput(
                f"a capture rule has a name and, if it likes, {', '.join(sorted(known - {'name'}))}; {what}", code=CODE
            )
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types; what is as by default is left out."""
        found: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            default = {} if one.name == "metadata" else one.default
            if value != default:
                found[one.name] = list(value) if isinstance(value, tuple) else value
        return found

    def is_about(self, source: str, name: str, mime_type: str, *, error: bool) -> bool:
        """Whether this rule decides on an offer."""
        if self.sources and source not in self.sources:
            return False
        if self.errors is not None and self.errors is not error:
            return False
        if self.names and not any(matches(pattern, name) for pattern in self.names):
            return False
        essence = mime_type.partition(";")[0].strip().lower()
        return not self.mime_types or any(matches(pattern.lower(), essence) for pattern in self.mime_types)

    def artifact_name(self, source: str, name: str) -> str:
        """The name of what is captured of an offer: always one that an artifact may have."""
        return artifact_name(self.store_as, source, name, self.name)


def artifact_name(template: str, source: str, name: str, rule: str) -> str:
    """A template filled in. What is filled in leads nowhere: slashes in it become underlines, and it is cut to fit."""
    room = limits.NAME_CHARS_MAX - len(_PLACEHOLDER.sub("", template))
    most = max(1, room // max(1, len(_PLACEHOLDER.findall(template))))
    values = {"source": source, "name": _inside(name, most), "rule": _inside(rule, most)}
    filled = _PLACEHOLDER.sub(lambda place: values[place[1]], template)[: limits.NAME_CHARS_MAX]
    try:
        return check_artifact_name(filled)
    except InvalidInput:  # It is a UUID, or has become a way somewhere: neither with this before it.
        return check_artifact_name(f"{source}-{filled}".replace("..", "__")[: limits.NAME_CHARS_MAX])


def matches(pattern: str, text: str) -> bool:
    """Whether a glob means a text: ``*`` any run, ``?`` one character, ``[a-z]`` one of these; case and all."""
    return _compiled(pattern)(text)


_compiled = lru_cache(maxsize=1024)(matching)


def _inside(text: str, chars_max: int) -> str:
    return re.sub(r"[/\\]", "_", text)[:chars_max].replace("..", "__")


# -- checks ------------------------------------------------------------------------------------------------------------


def _wrong(name: str, rule: str, value: object) -> InvalidInput:
    return InvalidInput(f"{name} is {rule}, not {told(value)}", code=CODE, field=name)


def _one_of(name: str, choices: tuple[str, ...]) -> Any:
    def check(value: object) -> object:
        if type(value) is not str or value not in choices:
            raise _wrong(name, f"one of {', '.join(choices)}", value)
        return value

    return check


def _texts(name: str, value: object) -> tuple[Any, ...]:
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise _wrong(name, "a list of texts", value)
    found = tuple(value)
    if len(found) > limits.CAPTURE_PATTERNS_MAX:
        raise _wrong(name, f"a list of at most {limits.CAPTURE_PATTERNS_MAX} texts", len(found))
    return found


def _sources(value: object) -> tuple[Any, ...]:
    found = _texts("sources", value)
    if any(one not in SOURCES for one in found):
        raise _wrong("sources", f"a list of {', '.join(SOURCES)}", found)
    return tuple(dict.fromkeys(found))


def _patterns(name: str) -> Any:
    def check(value: object) -> tuple[str, ...]:
        patterns = _texts(name, value)
        # As the names are that they are held against: composed.
        found = tuple(check_label(one, "a pattern", chars_max=limits.CAPTURE_PATTERN_CHARS_MAX) for one in patterns)
        for one in found:
            _compiled(one)
        return found

    return check


def _count(name: str, *, optional: bool) -> Any:
    def check(value: object) -> object:
        if value is None and optional:
            return None
        if type(value) is not int or not 0 <= value <= _INT_MAX:
            raise _wrong(name, "a whole number from 0", value)
        return value

    return check


def _sample(value: object) -> float:
    if type(value) not in {int, float} or not 0 <= value <= 1:  # type: ignore[operator]
        raise _wrong("sample", "a share from 0 to 1", value)
    return float(value)  # type: ignore[arg-type]


def _flag(name: str, *, optional: bool) -> Any:
    def check(value: object) -> object:
        if type(value) is not bool and not (optional and value is None):
            raise _wrong(name, "True or False", value)
        return value

    return check


def _template(value: object) -> str:
    if type(value) is not str or "{" in (rest := _PLACEHOLDER.sub("", value)) or "}" in rest:
        raise _wrong("store_as", "an artifact's name with placeholders in braces", value)
    unknown = set(_PLACEHOLDER.findall(value)) - set(_PLACES)
    if unknown:
        raise _wrong("store_as", f"filled in with {', '.join('{' + one + '}' for one in _PLACES)}", unknown.pop())
    if len(value) > limits.NAME_CHARS_MAX // 2:
        raise _wrong("store_as", f"of at most {limits.NAME_CHARS_MAX // 2} characters", value)
    check_artifact_name(_PLACEHOLDER.sub("x", value))
    return value


_CHECKS: dict[str, Any] = {
    "name": lambda value: check_label(value, "a rule's name", chars_max=limits.TAG_CHARS_MAX),
    "action": _one_of("action", get_args(Action)),
    "sources": _sources,
    "names": _patterns("names"),
    "mime_types": _patterns("mime_types"),
    "errors": _flag("errors", optional=True),
    "size_min": _count("size_min", optional=False),
    "size_max": _count("size_max", optional=True),
    "sample": _sample,
    "seed": lambda value: check_label(value, "a seed", empty=True),
    "privacy": _one_of("privacy", get_args(Privacy)),
    "store_as": _template,
    "type": lambda value: None if value is None else check_type(value),
    "tags": lambda value: tuple(check_tags(value)),
    "metadata": check_metadata,
    "count_max": _count("count_max", optional=True),
    "bytes_max": _count("bytes_max", optional=True),
    "record_skips": _flag("record_skips", optional=False),
}
