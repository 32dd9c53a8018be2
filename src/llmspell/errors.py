"""One tree of errors, shaped by what the caller can do about them.

Every error carries a stable kebab-case ``code`` that is the same in Python, Lua, the command line and (later) HTTP,
and an optional ``hint`` that says what to do next. Drivers' errors are mapped to this tree once, in the adapter, with
the original as ``__cause__``.

    LlmspellError
      NotFound          the named thing does not exist         (Compacted: it did, and was dropped by an entry)
      AlreadyExists     a thing of that name is there
      Conflict          the thing moved on since you looked, or its status forbids the step
      InvalidInput      the request breaks a stated rule
      LimitExceeded     the request is larger than a stated limit, or took longer
      Vetoed            a hook refused the change
      AccessDenied      the caller may not do this
      ReadOnly          this handle does not write (opened so, or after a failed sync)
      Busy              another process holds the store; try again
      StorageFailed     the disk or the engine below failed
      Corrupt           stored bytes do not match their hash
      ScriptFailed      a script raised, or was stopped at a limit
      Diverged          a re-run did something else than its record
      WrongKey          the key does not open this store
      NeedsMigration    the store has another format than this version reads
"""

from __future__ import annotations

from typing import Any

MESSAGE_CHARS_MAX = 2000
"""A longer message, which quotes something long that somebody gave, is cut."""


class LlmspellError(Exception):
    """Base of every error this library raises on purpose.

    ``message`` says what was asked, what was found and what to do; ``code`` is stable and kebab-case; ``hint`` is one
    sentence for a person; ``details`` holds machine-readable facts (JSON types only).
    """

    code = "failed"
    exit_status = 1
    http_status = 500

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None, **details: Any) -> None:
        if len(message) > MESSAGE_CHARS_MAX:
            message = message[: MESSAGE_CHARS_MAX - 1] + "…"
        if not message.isascii():  # A lone surrogate that somebody gave could not be printed.
            message = message.encode("utf-8", "backslashreplace").decode()
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.hint = hint
        self.details = details


class NotFound(LlmspellError):
    """The named session, artifact, key or store does not exist."""

    code, exit_status, http_status = "not-found", 13, 404


class StoreMissing(NotFound):
    """There is no store at this path (and none was to be created)."""

    code, exit_status = "store-missing", 10


class Compacted(NotFound):
    """It existed, but lies below the horizon: its payload was dropped by an entry."""

    code, http_status = "compacted", 410


class AlreadyExists(LlmspellError):
    """Something of that name or id is there already."""

    code, exit_status, http_status = "already-exists", 14, 409


class Conflict(LlmspellError):
    """The version or status found is not the one the caller relied on."""

    code, exit_status, http_status = "conflict", 14, 409


class InvalidInput(LlmspellError):
    """The request breaks a rule; the message names the rule and the offending part."""

    code, exit_status, http_status = "invalid-input", 2, 422


class LimitExceeded(LlmspellError):
    """A named limit (size, depth, count, time) was reached."""

    code, exit_status, http_status = "limit-exceeded", 1, 413


class Vetoed(LlmspellError):
    """A before-hook refused the operation; nothing was written."""

    code, exit_status, http_status = "vetoed", 1, 409


class AccessDenied(LlmspellError):
    """The principal may not do this in this scope."""

    code, exit_status, http_status = "access-denied", 1, 403


class ReadOnly(LlmspellError):
    """This handle does not accept writes (opened read-only, or a sync to disk failed earlier)."""

    code, exit_status, http_status = "read-only", 1, 403


class Busy(LlmspellError):
    """Another process kept the store locked for longer than the timeout; trying again is safe."""

    code, exit_status, http_status = "busy", 11, 503


class StorageFailed(LlmspellError):
    """The disk or the database engine failed; the cause is attached."""

    code, exit_status, http_status = "storage-failed", 1, 500


class Corrupt(LlmspellError):
    """Stored bytes do not match their hash. They are never served."""

    code, exit_status, http_status = "corrupt", 16, 500


class ScriptFailed(LlmspellError):
    """A script raised an error or was stopped at a limit. ``details["traceback"]`` is the script's own traceback."""

    code, exit_status, http_status = "script-failed", 1, 422


class Diverged(LlmspellError):
    """A run answered from its record asked for something else than it did the first time."""

    code, exit_status, http_status = "diverged", 3, 409


class WrongKey(LlmspellError):
    """The key given does not open this store. Nothing was touched."""

    code, exit_status, http_status = "wrong-key", 12, 401


class NeedsMigration(LlmspellError):
    """The store's format is not the one this version reads."""

    code, exit_status, http_status = "needs-migration", 15, 409
