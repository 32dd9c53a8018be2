"""Errors between host and script: what a script's author reads, and what a Python caller catches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from llmspell.errors import LlmspellError, ScriptFailed
from llmspell.model.values import encode_value
from llmspell.script.engine import ScriptError

CODE_INTERNAL: Final = "internal"
CODE_CANCELLED: Final = "cancelled"
CODE_CALL_TIMEOUT: Final = "call-timeout"
CODE_CALLBACK_LATE: Final = "callback-late"


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a line of execution is ended from outside."""

    code: str
    message: str


class Halted(Exception):
    """The run cannot go on: it went another way than its record, lost its turn, or the disk failed."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def failure_of(error: Exception) -> dict[str, Any]:
    """An exception as a script sees it: ``code``, ``message``, and ``hint`` and ``details`` where there are any."""
    if not isinstance(error, LlmspellError):
        return {"code": CODE_INTERNAL, "message": f"internal error: {type(error).__name__}: {error}"}
    fields: dict[str, Any] = {"code": error.code, "message": _text(error.message)}
    if error.hint:
        fields["hint"] = _text(error.hint)
    details = {name: value for name, value in error.details.items() if _is_data(value)}
    if details:
        fields["details"] = details
    return fields


def script_failed(error: ScriptError, cause: BaseException | None = None, **details: Any) -> ScriptFailed:
    """The exception for a script that ended with an error; ``raise … from`` is left to the caller."""
    failed = ScriptFailed(
        error.message, code=error.code, traceback=error.traceback, origin=error.origin, **details
    )  # fmt: skip
    hint = getattr(cause, "hint", None)
    if isinstance(hint, str):
        failed.hint = hint
    if error.details is not None:
        failed.details["details"] = error.details
    return failed


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _is_data(value: Any) -> bool:
    try:
        encode_value(value)
    except LlmspellError:
        return False
    return True
