"""The Lua engine: turns what the runtime returns into engine events, and keeps the books on open calls.

What must stay true: every entry is one call into Lua that comes back with exactly one event, because a Lua run never
waits for two things at once. After a memory error the runtime is gone: whatever still waited ends with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from llmspell.errors import Conflict, InvalidInput, LimitExceeded, ScriptFailed
from llmspell.script.engine import (
    CODE_MEMORY_LIMIT,
    CODE_SYNTAX,
    SOURCE_BYTES_MAX,
    Done,
    EngineEvent,
    EngineInfo,
    EngineOptions,
    ErrorOrigin,
    HostCall,
    ScriptError,
    Usage,
)
from llmspell.script.lua import conversion
from llmspell.script.lua.runtime import LuaRuntime, describe

_WAITS, _RETURNED, _STOPPED, _FAILED, _SYNTAX = 1, 2, 3, 4, 5
_NO_MEMORY: Final = b"not enough memory"
DEFAULT_VERSION: Final = "5.5"
FALLBACK_VERSION: Final = "5.4"
CHUNK_NAME_MAX: Final = 1000


class LuaEngine:
    """One Lua runtime behind the engine port.

    ``version`` is ``"5.5"`` or ``"5.4"``; None takes 5.5, unless the first chunk compiles on 5.4 only: then the whole
    runtime is 5.4. Creation loads lupa and costs about half a millisecond.
    """

    def __init__(self, options: EngineOptions | None = None, *, version: str | None = None) -> None:
        """Build the runtime. ``InvalidInput``: options out of range. ``ScriptFailed``: lupa lacks the version."""
        self._options = options or EngineOptions()
        self._version_chosen = version is not None
        self._version = version or DEFAULT_VERSION
        self._runtime: LuaRuntime | None = LuaRuntime(self._version, self._options)
        self._info: EngineInfo | None = None
        self._open: dict[int, int] = {}  # call id -> run id
        self._names: dict[bytes, str] = {}
        self._last_run = 0
        self._death: ScriptError | None = None
        self._closed = False
        self._usage = Usage(memory_bytes=0, instructions=0, runs=0, host_calls=0, open_calls=0, callbacks=0)

    @property
    def info(self) -> EngineInfo:
        """Engine, versions and seeds; final once the first chunk was started."""
        if self._info is None:
            self._info = describe(self._version, self._options)
        return self._info

    def start(
        self, source: str, chunk_name: str, *, args: Sequence[Any] = (), expression: bool = False
    ) -> list[EngineEvent]:
        """Compile and run a chunk; ``args`` are its ``...``. A syntax error comes back as a ``Done``."""
        self._require_open()
        text, name = _source(source, expression=expression), _chunk_name(chunk_name)
        packed = conversion.pack_arguments(args) if args else None
        if self._runtime is None:
            return self._dead_run()
        events = self._enter(self._runtime, None, self._runtime.start, text, name, expression, packed)
        failed = events[0]
        if isinstance(failed, Done) and failed.error is not None and failed.error.origin == "syntax":
            return self._try_fallback(failed, failed.error, text, name, expression, packed)
        self._version_chosen = True
        return events

    def call(self, callback_id: int, args: Sequence[Any]) -> list[EngineEvent]:
        """Run a callback; its first result is the value of ``Done``."""
        self._require_open()
        packed = conversion.pack_arguments(args)
        if self._runtime is None:
            return self._dead_run()
        _require_callback(self._runtime, callback_id)
        return self._enter(self._runtime, None, self._runtime.call, callback_id, packed)

    def settle(self, call_id: int, ok: bool, value: Any = None) -> list[EngineEvent]:
        """Answer an open call. An error is a dict with ``code`` and ``message`` (text) and any further data."""
        self._require_open()
        run_id = self._open.get(call_id)
        if run_id is None:
            raise InvalidInput(f"no host call {call_id} is open", code="call-unknown")
        if ok:
            form, payload = conversion.answer(value)
            if form == conversion.FORM_CALLBACK and self._runtime is not None:
                _require_callback(self._runtime, payload)
        else:
            form, payload = conversion.FORM_PACKED, conversion.pack(_error_fields(value), "error")
        del self._open[call_id]
        if self._runtime is None:
            return [Done(run_id, ok=False, error=self._death)]
        return self._enter(self._runtime, run_id, self._runtime.settle, call_id, ok, form, payload)

    def stop(self, run_id: int, code: str, message: str) -> list[EngineEvent]:
        """End a run that waits for the host; its variables marked ``<close>`` are not closed."""
        self._require_open()
        call_id = next((call for call, run in self._open.items() if run == run_id), None)
        if call_id is None:
            raise InvalidInput(f"run {run_id} does not wait for the host", code="run-unknown")
        del self._open[call_id]
        if self._runtime is not None:
            self._runtime.abandon(run_id)
        return [Done(run_id, ok=False, error=ScriptError(code=code, message=message, origin="stopped"))]

    def release(self, callback_id: int) -> None:
        """Give back one arrival of a callback. ``InvalidInput`` (``callback-unknown``) when it is not held."""
        self._require_open()
        if self._runtime is not None and not self._runtime.release(callback_id):
            raise InvalidInput(f"there is no callback {callback_id} in this engine", code="callback-unknown")

    def used(self) -> Usage:
        """Counts so far; after the end of the runtime, the last ones known."""
        if self._runtime is not None:
            instructions, runs, calls, callbacks = self._runtime.counters()
            self._usage = Usage(
                memory_bytes=self._runtime.memory_bytes(),
                instructions=instructions,
                runs=runs,
                host_calls=calls,
                open_calls=len(self._open),
                callbacks=callbacks,
            )
        return self._usage

    def close(self) -> None:
        """Free the Lua state. Open calls and callbacks end silently."""
        if not self._closed:
            self.used()
            self._closed = True
            self._runtime = None
            self._open.clear()

    # Inside ----------------------------------------------------------------------------------------------------------

    def _require_open(self) -> None:
        if self._closed:
            raise Conflict("this script engine is closed", code="engine-closed")

    def _enter(
        self, runtime: LuaRuntime, run_id: int | None, entry: Callable[..., Any], *args: Any
    ) -> list[EngineEvent]:
        size = sum([len(value) for value in args if type(value) is bytes])
        if not runtime.room_for(size):
            return self._die(run_id, runtime.memory_message)
        try:
            result = entry(*args)
        except MemoryError:
            return self._die(run_id, runtime.memory_message)
        except runtime.failure as exc:
            self._bury(ScriptError(code="engine-failed", message=f"the Lua engine failed: {exc}", origin="limit"))
            raise ScriptFailed(f"the Lua engine itself failed: {exc}", code="engine-failed") from exc
        return [self._event(result)]

    def _event(self, result: tuple[Any, ...]) -> EngineEvent:
        shape, first = result[0], result[1]
        if shape == _WAITS:
            run_id, raw_name, count = result[2:5]
            name = self._names.get(raw_name)
            if name is None:
                name = self._names[raw_name] = conversion.text(raw_name)
            self._open[first] = self._last_run = run_id
            args = [conversion.received(value) for value in result[5:]] if count >= 0 else conversion.unpack(result[5])
            return HostCall(first, name, args, run_id)
        self._last_run = max(self._last_run, first)
        if shape == _RETURNED:
            values = tuple(conversion.unpack(result[2]))
            return Done(first, ok=True, value=values[0] if values else None, values=values)
        if shape == _STOPPED:
            return self._stopped(first, *map(conversion.text, result[2:5]))
        if shape == _SYNTAX and result[2] == _NO_MEMORY:
            return self._stopped(first, CODE_MEMORY_LIMIT, "compiling the script used up its memory", "")
        if shape == _SYNTAX:
            return Done(first, ok=False, error=_syntax_error(conversion.text(result[2])))
        return Done(first, ok=False, error=_script_error(conversion.unpack(result[2])))

    def _stopped(self, run_id: int, code: str, message: str, traceback: str) -> Done:
        error = ScriptError(code=code, message=message, origin="limit", traceback=traceback)
        if code == CODE_MEMORY_LIMIT:
            self._bury(error)
        return Done(run_id, ok=False, error=error)

    def _bury(self, error: ScriptError) -> None:
        self.used()
        self._death = error
        self._runtime = None

    def _die(self, run_id: int | None, message: str) -> list[EngineEvent]:
        """End the runtime after a memory error that no script code could be told of."""
        error = ScriptError(code=CODE_MEMORY_LIMIT, message=message, origin="limit")
        self._bury(error)
        if run_id is None:
            return self._dead_run()
        return [Done(run_id, ok=False, error=error)]

    def _dead_run(self) -> list[EngineEvent]:
        self._last_run += 1
        return [Done(self._last_run, ok=False, error=self._death)]

    def _try_fallback(
        self, failed: Done, error: ScriptError, text: bytes, name: bytes, *rest: Any
    ) -> list[EngineEvent]:
        """A chunk that 5.5 does not compile: run it on 5.4 if nothing has run yet, else say that 5.4 would take it."""
        if self._version != DEFAULT_VERSION or error.incomplete:
            return [failed]
        try:
            fallback = LuaRuntime(FALLBACK_VERSION, self._options)
        except ScriptFailed:
            return [failed]
        if not fallback.compiles(text, name, rest[0]):
            return [failed]
        if self._version_chosen:
            message = f"{error.message} (Lua {FALLBACK_VERSION} compiles it: choose that version for this runtime)"
            return [replace(failed, error=replace(error, message=message))]
        self._runtime, self._info = fallback, None
        self._version, self._version_chosen = FALLBACK_VERSION, True
        return self._enter(fallback, None, fallback.start, text, name, *rest)


def _require_callback(runtime: LuaRuntime, callback_id: int) -> None:
    if not runtime.known(callback_id):
        raise InvalidInput(f"there is no callback {callback_id} in this engine", code="callback-unknown")


def _source(source: str, *, expression: bool) -> bytes:
    try:
        text = source.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInput(f"the script is not valid text: {exc}", code="source-invalid") from exc
    if len(text) > SOURCE_BYTES_MAX:
        raise LimitExceeded(f"the script has {len(text)} bytes, more than {SOURCE_BYTES_MAX}", code="source-too-large")
    text = text.removeprefix(b"\xef\xbb\xbf")
    if text.startswith(b"#!") or (text.startswith(b"#") and not expression):  # `#list` is an expression
        return b"--" + text  # a "#!" line is for the shell; the lines keep their numbers
    return text


def _chunk_name(name: str) -> bytes:
    if not name or not name.isprintable() or len(name) > CHUNK_NAME_MAX:
        raise InvalidInput(f"chunk name {name!r:.80} must be 1 to {CHUNK_NAME_MAX} printable characters")
    return name.encode()


def _error_fields(value: Any) -> dict[str, Any]:
    if (
        not isinstance(value, Mapping)
        or not isinstance(value.get("code"), str)
        or not isinstance(value.get("message"), str)
    ):
        raise InvalidInput("an error for a script is a dict with 'code' and 'message' (text)")
    return dict(value)


def _syntax_error(message: str) -> ScriptError:
    return ScriptError(
        code=CODE_SYNTAX, message=message, origin="syntax", incomplete=message.endswith(("<eof>", "'<eof>'"))
    )


def _script_error(fields: dict[str, Any]) -> ScriptError:
    return ScriptError(
        code=fields["code"],
        message=_shown(fields["message"]),
        origin=cast("ErrorOrigin", fields["origin"]),
        traceback=_shown(fields["traceback"]),
        ref=fields.get("ref"),
        details=fields.get("details"),
    )


def _shown(value: str | bytes) -> str:
    return value if isinstance(value, str) else conversion.text(value)
