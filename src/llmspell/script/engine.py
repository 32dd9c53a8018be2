"""The script engine port: one small protocol that every scripting language implements, and the values that cross it.

An engine runs one script (and the callbacks that script registers) in one isolated runtime. It never calls the host:
every entry (``start``, ``call``, ``settle``, ``stop``) runs the script until it needs the host or ends, and returns
what happened as a list of events. The driver answers a :class:`HostCall` with ``settle`` whenever it likes; while a
run waits, callbacks may run in the same runtime.

What must stay true in every implementation:

- Only plain data crosses: ``None``, ``bool``, 64-bit ``int``, finite ``float``, ``str``, ``bytes``, ``list``, ``dict``
  with ``str`` keys, and :class:`CallbackRef`. No host object is reachable from a script, no script object from here.
- Host functions are declared by name and found by name; aliases are several script names for one host name.
- A limit ends the run; the script cannot catch it. The run's ``Done`` then has ``error.origin == "limit"``.
- The same script, options, callback deliveries and answers give the same events. Clock reads are host calls
  (``HOST_CLOCK_NOW``, ``HOST_CLOCK_ELAPSED``), random numbers come from ``Seeds.prng``.

Importing this module loads no engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

HOST_PRINT: Final = "print"
"""Host call of ``print``: one argument, the line (``str``, or ``bytes`` when it is not UTF-8)."""
HOST_WARN: Final = "warn"
"""Host call of ``warn``: one argument, the message."""
HOST_CLOCK_NOW: Final = "clock.now"
"""Host call behind the script's wall clock: no arguments, answers seconds since the Unix epoch (int or float)."""
HOST_CLOCK_ELAPSED: Final = "clock.elapsed"
"""Host call behind the script's stop watch: no arguments, answers seconds since the run began (float)."""

VALUE_DEPTH_MAX: Final = 128
"""Deepest nesting of lists and dicts that crosses, in both directions."""
VALUE_NODES_MAX: Final = 200_000
"""Most values (containers and leaves) one crossing may hold."""
SOURCE_BYTES_MAX: Final = 8 << 20
"""Longest source text of one chunk, UTF-8 encoded."""

CODE_MEMORY_LIMIT: Final = "memory-limit"
CODE_INSTRUCTION_LIMIT: Final = "instruction-limit"
CODE_TIME_LIMIT: Final = "time-limit"
CODE_CALL_DEPTH_LIMIT: Final = "call-depth-limit"
CODE_SYNTAX: Final = "syntax-error"
CODE_SCRIPT: Final = "script-error"
CODE_NOT_CONVERTIBLE: Final = "not-convertible"
CODE_NOT_YIELDABLE: Final = "not-yieldable"
CODE_NOT_AVAILABLE: Final = "not-available"

ErrorOrigin = Literal["script", "host", "limit", "syntax", "stopped"]
"""Where an error came from: raised by the script, by the host's answer to a call, by a limit, by the compiler, or by
``Engine.stop``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one runtime may use. ``instructions`` and ``slice_s`` count per run, the others for the whole runtime.

    ``slice_s`` is CPU time between two returns to the host: waiting for an answer costs nothing. It is the one limit
    whose effect is not reproducible; a driver records that it struck.
    """

    memory_bytes: int = 64 << 20
    instructions: int = 1_000_000_000
    slice_s: float = 5.0
    call_depth: int = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """Recorded sources of chance: ``string_hash`` (32 bits) orders maps where the engine needs one, ``prng`` (64 bits)
    starts the script's random numbers.
    """

    string_hash: int = 0
    prng: int = 0


@dataclass(frozen=True, slots=True)
class Prelude:
    """Trusted source in the engine's language, run once when the runtime starts (see the engine for what it gets)."""

    name: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How to build a runtime.

    ``bindings`` maps namespace to {script function name: host name}; the namespace ``""`` holds global functions.
    Functions handed to a host function arrive as :class:`CallbackRef` when they are arguments themselves; inside
    tables they are refused with their path, unless the host name is in ``nested_callbacks``.
    """

    bindings: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    preludes: tuple[Prelude, ...] = ()
    nested_callbacks: frozenset[str] = frozenset()
    limits: Limits = Limits()
    seeds: Seeds = Seeds()


@dataclass(frozen=True, slots=True)
class CallbackRef:
    """A script function the host may run with ``Engine.call``; valid in the engine that made it.

    The same function arrives with the same id. Each arrival counts; the function is forgotten after as many
    ``release`` calls.
    """

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptError:
    """Why a run failed, as plain data.

    ``ref`` is the ``call_id`` of the failed host call when exactly that error came back uncaught: the driver chains
    the host's own exception with it. ``traceback`` is the script's, with chunk names and lines, newest call first.
    ``incomplete`` says that a syntax error was met at the end of the text (a prompt can ask for more).
    """

    code: str
    message: str
    origin: ErrorOrigin
    traceback: str = ""
    ref: int | None = None
    details: Any = None
    incomplete: bool = False

    def __str__(self) -> str:
        """Message, and below it the script's traceback when there is one."""
        return f"{self.message}\n{self.traceback}" if self.traceback else self.message


@dataclass(frozen=True, slots=True)
class HostCall:
    """The script waits for host function ``name``; answer with ``settle(call_id, …)``.

    ``strand`` names the line of execution that waits (the run's id here); calls of one strand never overlap.
    """

    call_id: int
    name: str
    args: list[Any]
    strand: int


@dataclass(frozen=True, slots=True)
class Done:
    """A run ended. ``value`` is what it returned first (or None), ``values`` all of it, ``error`` why it failed."""

    run_id: int
    ok: bool
    value: Any = None
    values: tuple[Any, ...] = ()
    error: ScriptError | None = None


EngineEvent = HostCall | Done


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What a run's record needs to repeat the run: engine, versions, seeds, digest (BLAKE3, hex) of all trusted code.

    ``locale`` is the process's collation and numeric locale: string comparison and number text follow them.
    """

    name: str
    language_version: str
    library_version: str
    string_hash_seed: int | None
    prng_seed: int
    prelude_digest: str
    locale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a runtime used so far; ``instructions`` is counted in steps of a thousand."""

    memory_bytes: int
    instructions: int
    runs: int
    host_calls: int
    open_calls: int
    callbacks: int


class Engine(Protocol):
    """One isolated runtime of a scripting language. Not thread-safe: one entry at a time, from any thread.

    Entries that name what does not exist (an unknown call or callback id) raise ``InvalidInput`` and change nothing;
    values that cannot cross raise ``InvalidInput`` (code ``not-convertible``) and the call stays open. What goes wrong
    inside the script never raises: it comes back as a ``Done`` with an error.
    """

    @property
    def info(self) -> EngineInfo:
        """Engine, versions and seeds of this runtime."""
        ...

    def start(
        self, source: str, chunk_name: str, *, args: Sequence[Any] = (), expression: bool = False
    ) -> list[EngineEvent]:
        """Run a chunk. Globals persist between chunks, so this is also the prompt's evaluator.

        ``args`` reach the chunk as its arguments. With ``expression`` the text is tried as an expression first, and
        results that cannot cross come back as their text instead of failing the run.
        """
        ...

    def call(self, callback_id: int, args: Sequence[Any]) -> list[EngineEvent]:
        """Run a callback in a run of its own, also while other runs wait for the host."""
        ...

    def settle(self, call_id: int, ok: bool, value: Any = None) -> list[EngineEvent]:
        """Answer an open host call: with its value, or (``ok`` false) with an error ``{"code", "message", …}``."""
        ...

    def stop(self, run_id: int, code: str, message: str) -> list[EngineEvent]:
        """End a waiting run from outside; its open host call is forgotten. Scope-exit handlers do not run."""
        ...

    def release(self, callback_id: int) -> None:
        """Give back one arrival of a callback."""
        ...

    def used(self) -> Usage:
        """Counts so far."""
        ...

    def close(self) -> None:
        """Free the runtime; closing twice is harmless. Every later entry raises ``Conflict``."""
        ...
