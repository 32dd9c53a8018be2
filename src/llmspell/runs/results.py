"""How a run ended, when it had a secret at hand: what it gave, or what its error says, is sealed in its last entry.

Nobody can tell whether a value was made from a secret, so one step that handled a secret is enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from llmspell.model.entry import REDACTED
from llmspell.runs.kinds import RunFailed, RunFinished

HIDDEN_REASON = f"{REDACTED}: the run had a secret at hand, so what its error says is sealed in its last entry"
_PATH = "result"
_RAISED = "script-error"
"""The code of an error that a script raised without one."""
_is_code = re.compile(r"[a-z]{1,20}(?:-[a-z]{1,20}){0,5}").fullmatch
_encode = msgspec.json.Encoder().encode


def seal_result(last: RunFinished | RunFailed, by: Callable[[str, bytes], str]) -> RunFinished | RunFailed:
    """The last entry as it is written; ``by`` gives the sealed text of a path's bytes. Nothing is left as nothing."""
    if isinstance(last, RunFinished):
        if last.value is None:
            return last
        sealed = by(_PATH, _encode([last.value, last.packed]))
        return msgspec.structs.replace(last, value=REDACTED, packed=False, sealed=sealed)
    sealed = by(_PATH, _encode([last.code, last.reason, last.traceback]))
    return msgspec.structs.replace(
        last, code=shown_code(last.code, last.origin), reason=HIDDEN_REASON, traceback="", sealed=sealed
    )


def open_result(last: RunFinished | RunFailed, by: Callable[[str, str], bytes]) -> RunFinished | RunFailed:
    """The inverse; ``by`` opens the sealed text of a path, and raises where that cannot be. An imported one whose
    secret was left behind stays as it is: it shows that something stood there.
    """
    if last.sealed is msgspec.UNSET or last.sealed == REDACTED:
        return last
    text = by(_PATH, last.sealed)
    if isinstance(last, RunFinished):
        value, packed = msgspec.json.decode(text)
        return msgspec.structs.replace(last, value=value, packed=packed, sealed=msgspec.UNSET)
    code, reason, traceback = msgspec.json.decode(text)
    return msgspec.structs.replace(last, code=code, reason=reason, traceback=traceback, sealed=msgspec.UNSET)


def shown_code(code: str, origin: str) -> str:
    """The code of an error, unless it is a text that a script made up: one it raised itself has what code it likes."""
    made_up = origin == "script" and code != _RAISED
    return REDACTED if made_up or not _is_code(code) else code
