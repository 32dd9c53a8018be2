"""Errors and exit statuses of the command line: a message with a hint, never a traceback for a user's mistake.

    0  done                              11  busy: another process holds the store
    1  failed                            12  wrong key
    2  the line itself is wrong          13  not found
    3  finished, with findings           14  conflict: exists already, moved on, or illegal from here
    10 there is no store                 15  the store needs a migration
    130 interrupted                      16  stored bytes are damaged

The status of an error is a property of its class (``llmspell.errors``). With ``--json`` the error is one object on
stdout, ``{"error": {"code", "message", "hint"}}``, with ``details.changes`` for a schema that breaks a promise;
otherwise a message on stderr.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from llmspell.cli import printable, streams
from llmspell.cli.streams import discard_output
from llmspell.errors import LlmspellError, StorageFailed

OK, FAILED, USAGE, FINDINGS, DAMAGED, INTERRUPTED = 0, 1, 2, 3, 16, 130


class Finished(Exception):
    """No error: ends a command that has said everything with this exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def guarded(work: Callable[[], Any], *, json: bool, verbose: bool) -> int:
    """Run a command to its exit status, whatever it raises."""
    try:
        work()
        sys.stdout.flush()
    except Finished as finished:
        return _flushed(finished.status)
    except BrokenPipeError:
        discard_output()  # the reader has what it wanted (``| head``)
    except KeyboardInterrupt:
        return INTERRUPTED
    except LlmspellError as exc:
        return _flushed(report(exc, json=json, verbose=verbose))
    except Exception as exc:  # noqa: BLE001  the last door: what nobody expected becomes one line
        return _flushed(report(_mapped(exc), json=json, verbose=verbose))
    return OK


def report(error: LlmspellError, *, json: bool, verbose: bool) -> int:
    """Tell about an error and give its exit status."""
    if verbose or os.environ.get("LLMSPELL_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
    if json and _print_json(error):
        return error.exit_status
    text = f"llmspell: {printable.block(error.message)}"
    script = error.details.get("traceback")
    if isinstance(script, str) and script.strip() and script.strip() not in error.message:
        text += "\n" + printable.block(script.rstrip())
    if shown := _breaking(error):
        text += "".join(f"\n  {printable.line(one['path'])}: {printable.line(one['explanation'])}" for one in shown)
    if error.hint:
        text += f"\nhint: {printable.block(error.hint)}"
    print(text, file=sys.stderr)
    return error.exit_status


def _print_json(error: LlmspellError) -> bool:
    """Whether there is still somebody to read it on stdout."""
    fields: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    if changes := _breaking(error):
        fields["details"] = {"changes": changes}
    if isinstance(error.details.get("traceback"), str):
        fields["traceback"] = error.details["traceback"]
    try:
        print(json.dumps({"error": fields}), flush=True)
    except BrokenPipeError:
        discard_output()
    except (OSError, ValueError):
        discard_output()
        return False
    return True


def _breaking(error: LlmspellError) -> list[dict[str, Any]]:
    """What a schema that is refused would break, change for change."""
    changes = error.details.get("changes")
    return changes if error.code == "schema-incompatible" and isinstance(changes, list) else []


def _mapped(exc: Exception) -> LlmspellError:
    if isinstance(exc, OSError) and exc.errno == errno.EBADF and "stdout" in streams.missing:
        error: LlmspellError = StorageFailed("there is nobody to tell: standard output is closed", code="system-error")
    elif isinstance(exc, OSError) and exc.strerror:
        where = "" if exc.filename is None else f" {os.fsdecode(exc.filename)!r}"
        error = StorageFailed(f"the system refused{where}: {exc.strerror}", code="system-error")
    else:
        name = type(exc).__name__
        error = LlmspellError(
            f"internal error: {name}: {exc}"[:500],
            code="internal",
            hint="run it again with -v for the traceback and report it",
        )
    error.__cause__ = exc
    return error


def _flushed(status: int) -> int:
    """The status, once what was written is out."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    except (OSError, ValueError):
        discard_output()
        return status or FAILED
    return status
