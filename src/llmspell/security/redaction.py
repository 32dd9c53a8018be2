"""Finding secrets in JSON values and replacing them: a help against accidents, never a guarantee.

A value is looked at field by field: a telling name (``password``, ``api_key``) gives its value away; a text is searched
for what issuers' keys look like, for ``name=value`` in prose, and again in what it holds encoded (escaped, URL-encoded,
base64; two layers). What is found is replaced, the rest stays as it is.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from blake3 import blake3

from llmspell.errors import InvalidInput
from llmspell.model.entry import REDACTED
from llmspell.model.telling import told as told_of
from llmspell.security.base64_texts import base64_texts
from llmspell.security.commands import IN_COMMANDS
from llmspell.security.expressions import check_expression
from llmspell.security.judging import bare, header, hollow, literal, path_like
from llmspell.security.patterns import BEHIND_NAMES, SHAPES, Rule

_LAYERS = 2
_BETWEEN = ";\n-----" + "\n" * 24
"""Parts texts in base64 that are looked through together: no rule of ours finds something that goes across it."""
_QUOTED = re.compile(r"%[0-7][0-9A-Fa-f]")
_ESCAPE = re.compile(r'\\(["\\/nrt]|u[0-9A-Fa-f]{4})')
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_FIELD = re.compile(
    r"""(["'])([\w .-]{1,60})\1\s{0,8}:\s{0,8}("[^"\\\n]{1,400}+"|'[^'\\\n]{1,400}+'|\[[^\[\]{}]{0,2000}+\])"""
).finditer
_QUOTED_TEXT = re.compile(r"""(["'])((?:(?!\1)[^\\\n]){1,400}+)\1""").finditer
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+").findall
_CERTAIN = frozenset(("password", "passwd", "passphrase", "pwd", "passwort", "secret", "credential", "cvv"))
_WHERE = frozenset(("pwd", "oldpwd"))
"""Names of a password that shells give to the folder they are in."""
_FETCHING = frozenset(("include", "same-origin", "omit"))
"""What ``credentials`` says of a request of JavaScript."""
_NAMING = ("name", "key", "Name", "Key")
_LIKELY = frozenset(("token", "auth", "bearer", "pass"))
_GLUED = frozenset((
    "apikey", "xapikey", "accesskey", "secretkey", "privatekey", "clientsecret",
    "accesstoken", "authtoken", "bearertoken", "refreshtoken", "sessiontoken", "idtoken",
))  # fmt: skip
_KEYS = frozenset(
    ("api", "access", "secret", "private", "signing", "encryption", "auth", "account", "master", "shared")
)
_TYPES = frozenset(("string", "integer", "number", "boolean", "array", "object", "null"))
_SAID = frozenset(("type", "format", "title", "description", "pattern", "required", "$ref"))
"""Members of a field's JSON Schema that say what its values are like, and are none."""
_FIELD_CHARS_MAX = 200
_CARD_MIN, _CARD_MAX = 10**12, 10**19
_WRITTEN_MAX = 10**600
_OTHER = frozenset((float, bool, type(None)))
_Told = Literal["secret", "token", "header", "maybe"]
"""What a field's name says of its value: it is a secret; it is one but for numbers, which count tokens; it is one if it
looks like a header's; it is one if it looks so.
"""
_HEADERS: dict[str, _Told] = {
    "authorization": "header", "proxy-authorization": "header", "x-api-key": "maybe", "x-auth-token": "maybe",
}  # fmt: skip
_JUDGES: dict[str, Callable[[str], bool]] = {"header": header, "maybe": bare}


class Found(NamedTuple):
    """A secret: the JSON path of the text it stands in, its kind, and where in that text."""

    path: str
    kind: str
    start: int
    end: int


class Redactor:
    """Finds and replaces. Stateless, so that threads may share one.

    ``patterns`` are further expressions by the name of their kind, ``fields`` further names of fields, whose values are
    replaced whole. With ``digest_key`` (32 bytes) a keyed digest of 8 hex digits stands beside ``REDACTED``, so that
    equal secrets can be told to be equal by whoever has the key. Raises InvalidInput: ``invalid-pattern`` for an
    expression that could take more than bounded work at one place of a text, ``invalid-key``, ``invalid-argument``.
    """

    def __init__(
        self,
        *,
        patterns: Mapping[str, str] | None = None,
        fields: Iterable[str] = (),
        digest_key: bytes | None = None,
    ) -> None:
        names = _names(fields)
        if patterns is not None and not isinstance(patterns, Mapping):
            raise InvalidInput(
                f"patterns are expressions by their names, not {told_of(patterns)}", code="invalid-argument"
            )
        own = [Rule(kind, check_expression(kind, text), ("",)) for kind, text in (patterns or {}).items()]
        self._rules = (*own, *SHAPES, *BEHIND_NAMES, *IN_COMMANDS)
        self._anchors: dict[str, list[int]] = {}
        """The rules by what a text has to hold for them, so that each is looked for once."""
        for number, rule in enumerate(self._rules):
            for anchor in rule.anchors:
                self._anchors.setdefault(anchor, []).append(number)
        self._fields = frozenset(map(_plain_name, names))
        self._hide = _replacer(digest_key)

    def scan(self, value: Any) -> list[Found]:
        """The secrets in a JSON value, in its order."""
        return self.redact(value)[1]

    def redact(self, value: Any) -> tuple[Any, list[Found]]:
        """The value with its secrets replaced by ``[REDACTED]`` (``[REDACTED:…]`` with a digest key), and what was
        found; the value itself when nothing was. About 10 µs for a value of 1 KB, linear in its size. Raises
        InvalidInput (``invalid-value``, ``value-depth``) for what is no JSON value: it would not be looked through.
        """
        found: list[Found] = []
        try:
            return self._value(value, "$", found), found
        except RecursionError:
            raise InvalidInput("the value is nested too deep, or contains itself", code="value-depth") from None

    # -- values --------------------------------------------------------------------------------------------------------

    def _value(self, value: Any, path: str, found: list[Found]) -> Any:
        kind = type(value)
        if kind is str:
            return self._text(value, path, found)
        if kind is dict:
            return self._dict(value, path, found)
        if kind is list:
            before = len(found)
            told = self._told_of_pair(value)
            items = [
                self._value(item, f"{path}[{at}]", found) if told is None or not at
                else self._field(item, f"{path}[{at}]", told, found)
                for at, item in enumerate(value)
            ]  # fmt: skip
            return items if len(found) > before else value
        if kind is int:
            is_found = _CARD_MIN < value < _CARD_MAX and self._text(str(value), path, found) != str(value)
            return REDACTED if is_found else value
        if kind not in _OTHER:
            raise InvalidInput(
                f"{path} is a {kind.__module__}.{kind.__qualname__}; secrets are looked for in JSON values",
                code="invalid-value", path=path,
            )  # fmt: skip
        return value

    def _dict(self, value: dict[str, Any], path: str, found: list[Found]) -> Any:
        before = len(found)
        valued, told_of_value = self._told_by_name(value)
        fresh: dict[str, Any] = {}
        same: dict[str, int] = {}
        for key, item in value.items():
            if type(key) is not str:
                raise InvalidInput(f"{path} has a key of type {type(key).__name__}", code="invalid-value", path=path)
            below = f"{path}.{key}"
            named = self._text(key, f"{path} (a key)", found)
            if named != key:
                below = f"{path}.{named}"
                base = named
                while named in fresh or named in value:
                    same[base] = same.get(base, 0) + 1
                    named = f"{base}+{same[base]}"
            told = self._told_by(key) if key != valued else told_of_value
            if told and type(item) is str and _says_how(key, item):
                told = None
            fresh[named] = self._value(item, below, found) if told is None else self._field(item, below, told, found)
        return fresh if len(found) > before else value

    def _told_by(self, key: str) -> _Told | None:
        """What a field's name says of its value; None when nothing."""
        if len(key) > _FIELD_CHARS_MAX:
            return None
        if self._fields and _plain_name(key) in self._fields:
            return "secret"
        words = [word.lower() for word in _WORDS(key)]
        if not words:
            return None
        last = words[-1] if words[-1] == "pass" else words[-1].removesuffix("s")
        before = words[-2] if len(words) > 1 else ""
        if last == "authorization":
            return "header"
        if last in _CERTAIN or (last == "key" and before in _KEYS):
            return "secret"
        if last in _GLUED or before + last in _GLUED:
            return "token" if last.endswith("token") else "secret"
        return "maybe" if words[-1] in _LIKELY else None

    def _told_by_name(self, value: dict[str, Any]) -> tuple[str | None, _Told | None]:
        """The member that has the value in an object like ``{"name": "DB_PASSWORD", "value": …}``, and what the name
        says of it.
        """
        valued = "value" if "value" in value else "Value"
        for name in _NAMING if valued in value else ():
            told = self._told_by(held) if type(held := value.get(name)) is str else None
            if told is not None and not (type(given := value[valued]) is str and hollow(given)):
                return valued, told
        return None, None

    def _told_of_pair(self, value: list[Any]) -> _Told | None:
        """The same of the second of a pair like ``["Authorization", "Bearer …"]``; of names of headers only, since
        other telling names stand in lists of names.
        """
        if len(value) != 2 or type(value[0]) is not str:
            return None
        return _HEADERS.get(value[0].lower())

    def _field(self, item: Any, path: str, told: _Told, found: list[Found]) -> Any:
        """The value of a field whose name gives it away. All texts in a certain one are secrets, also below it."""
        certain = told != "maybe"
        if type(item) is str:
            judge = _JUDGES.get(told)
            if item and not item.startswith(REDACTED[:-1]) and (judge is None or judge(item)):
                found.append(Found(path, "named-field", 0, len(item)))
                return self._hide(item)
            return self._text(item, path, found)
        if certain and type(item) is dict:
            said = _SAID if _is_schema(item) else ()
            return {
                key: self._value(one, f"{path}.{key}", found)
                if key in said
                else self._field(one, f"{path}.{key}", self._below(told, key), found)
                for key, one in item.items()
            }
        if certain and type(item) is list:
            return [self._field(one, f"{path}[{at}]", told, found) for at, one in enumerate(item)]
        if told == "secret" and type(item) is int and abs(item) > 999:
            text = str(item) if abs(item) < _WRITTEN_MAX else f"{item:x}"  # Python writes no longer ones.
            found.append(Found(path, "named-field", 0, len(text)))
            return self._hide(text)
        return self._value(item, path, found)

    def _below(self, told: _Told, key: str) -> _Told:
        """What a field below one says of its value: what that one did, unless it is more certain itself."""
        return (self._told_by(key) or told) if told == "header" else told

    # -- texts ---------------------------------------------------------------------------------------------------------

    def _text(self, text: str, path: str, found: list[Found]) -> str:
        if len(text) < 8:
            return text
        spans = self._spans(text, _LAYERS)
        if not spans:
            return text
        parts: list[str] = []
        at = 0
        for start, end, kind in spans:
            found.append(Found(path, kind, start, end))
            parts += text[at:start], self._hide(text[start:end])
            at = end
        return "".join((*parts, text[at:]))

    def _spans(self, text: str, layers: int) -> list[tuple[int, int, str]]:
        """Where secrets stand, in order, none inside another."""
        spans: list[tuple[int, int, str]] = []
        rules = {number for anchor, numbers in self._anchors.items() if anchor in text for number in numbers}
        for number in sorted(rules):
            kind, expression, _, fits = self._rules[number]
            group = "s" if "s" in expression.groupindex else 0
            spans += [
                (match.start(group), match.end(group), kind)
                for match in expression.finditer(text)
                if match.end(group) > match.start(group) and (fits is None or fits(match.group(group)))
            ]
        if '":' in text or "':" in text:
            spans += self._named_spans(text)
        if layers:
            spans += self._encoded(text, layers)
        return _apart(spans) if spans else spans

    def _named_spans(self, text: str) -> list[tuple[int, int, str]]:
        """Values of fields whose names give them away, where a text holds JSON or a dict of some language."""
        spans = []
        for match in _FIELD(text):
            told = self._told_by(match[2])
            if told is not None:
                fits = _JUDGES.get(told, literal)
                spans += [
                    (item.start(2), item.end(2), "named-field")
                    for item in _QUOTED_TEXT(text, match.start(3), match.end(3))
                    if fits(item[2]) and not _says_how(match[2], item[2])
                ]
        return spans

    def _encoded(self, text: str, layers: int) -> list[tuple[int, int, str]]:
        """What stands in the text encoded. Every encoding is looked through as one text, so that many small pieces cost
        no more than a large one.
        """
        spans = []
        if "\\" in text:
            spans += self._unescaped_spans(text, _ESCAPE, _unescaped, layers)
        if "%" in text:
            spans += self._unescaped_spans(text, _QUOTED, _unquoted, layers)
        return spans + self._base64_spans(text, layers)

    def _unescaped_spans(
        self, text: str, escape: re.Pattern[str], plain_of: Callable[[re.Match[str]], str], layers: int
    ) -> list[tuple[int, int, str]]:
        """Spans of the text without its escapes, of which each stands for one character, carried back to the text."""
        plain = escape.sub(plain_of, text)
        inner = self._spans(plain, layers - 1) if len(plain) < len(text) else []
        if not inner:
            return inner
        places = [0]
        at = 0
        for match in escape.finditer(text):
            places += range(at + 1, match.start() + 1)
            at = match.end()
            places.append(at)
        places += range(at + 1, len(text) + 1)
        return [(places[start], places[end], kind) for start, end, kind in inner]

    def _base64_spans(self, text: str, layers: int) -> list[tuple[int, int, str]]:
        """Pieces of base64 that hold a secret, whole."""
        places, texts, ends = list[tuple[int, int]](), list[str](), list[int]()
        end = 0
        for start, stop, decoded in base64_texts(text):
            end += len(decoded) + len(_BETWEEN)
            places.append((start, stop))
            texts.append(decoded)
            ends.append(end)
        if not places:
            return []
        inner = self._spans(_BETWEEN.join(texts), layers - 1)
        return [
            (*places[piece], kind)
            for start, end, kind in inner
            for piece in range(bisect(ends, start), bisect(ends, end - 1) + 1)
        ]


def _apart(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Ordered, those that overlap made one; the kind is that of the first rule that found it."""
    spans.sort(key=lambda span: (span[0], -span[1]))
    merged: list[tuple[int, int, str]] = []
    for span in spans:
        if merged and span[0] < merged[-1][1]:
            start, end, kind = merged[-1]
            merged[-1] = start, max(end, span[1]), kind
        else:
            merged.append(span)
    return merged


def _says_how(name: str, value: str) -> bool:
    """Whether a field with a telling name has what is no secret: the folder of a shell, the mode of a request."""
    name = name.lower()
    return (name in _WHERE and path_like(value)) or (name == "credentials" and value in _FETCHING)


def _is_schema(item: dict[str, Any]) -> bool:
    """Whether an object is what JSON Schema says of a field, as definitions of tools do, rather than its value."""
    kinds = item.get("type")
    kinds = kinds if type(kinds) is list else [kinds]
    return bool(kinds) and all(type(kind) is str and kind in _TYPES for kind in kinds)


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if code[0] == "u" else _ESCAPES.get(code, code)


def _unquoted(match: re.Match[str]) -> str:
    return chr(int(match[0][1:], 16))


def _replacer(digest_key: bytes | None) -> Callable[[str], str]:
    if digest_key is None:
        return lambda _secret: REDACTED
    if type(digest_key) is not bytes or len(digest_key) != 32:
        raise InvalidInput("a digest key is 32 bytes", code="invalid-key")
    return lambda secret: f"[REDACTED:{blake3(secret.encode(errors='surrogatepass'), key=digest_key).hexdigest(4)}]"


def _names(fields: object) -> list[str]:
    if isinstance(fields, str) or not isinstance(fields, Iterable):
        raise InvalidInput(f"fields are several names, not {told_of(fields)}", code="invalid-argument")
    names = list(fields)
    for name in names:
        if type(name) is not str or not _plain_name(name):
            raise InvalidInput(
                f"the name of a field is a text with letters or digits, not {told_of(name)}", code="invalid-argument"
            )
    return names


def _plain_name(name: str) -> str:
    """Letters and digits of any script, whatever their case."""
    if name.isascii():
        return re.sub(r"[^a-z0-9]", "", name.lower())
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))
