"""Building a Lua runtime: the library, the compiled prelude, and the functions through which the host enters.

What must stay true: the only Lua objects Python holds are the entries below, and every call of one runs under Lua's
own error protection with memory to spare. Allocating while the library pushes arguments is not protected: it would
end the process. So ``room_for`` is asked before each entry.
"""

from __future__ import annotations

import functools
import importlib
import locale
from collections.abc import Callable
from importlib import metadata, resources
from typing import Any, Final

from blake3 import blake3

from llmspell.errors import InvalidInput, ScriptFailed
from llmspell.script.engine import VALUE_DEPTH_MAX, VALUE_NODES_MAX, EngineInfo, EngineOptions, Prelude
from llmspell.script.lua import conversion

MODULES: Final = {"5.5": "lupa.lua55", "5.4": "lupa.lua54"}
"""Language version to module, the default first."""
PRELUDE_FILES: Final = (
    "errors", "kernel", "values", "wire", "pattern", "text", "tables", "clock", "json", "denied", "environment",
)  # fmt: skip
MEMORY_BYTES_MIN: Final = 2 << 20
MEMORY_BYTES_MAX: Final = 2 << 30
INSTRUCTIONS_MAX: Final = 1 << 60
CALL_DEPTH_MAX: Final = 1_000_000
SPARE_BYTES: Final = 128 << 10
"""Memory that must be free when Lua is entered, beyond the arguments' own size."""

_BOOT: Final = b"""
collectgarbage('stop')
local restart = collectgarbage
local settings = ...
local arguments, K, results = {...}, {}, nil
for i = 2, 2 * settings, 2 do K[arguments[i]] = arguments[i + 1] end
for i = 2 * settings + 2, #arguments do
  results = table.pack(load(arguments[i], '=(llmspell)', 'b')(K))
end
restart('restart')
return table.unpack(results, 1, results.n)
"""
# Without debug information: it loads in half the time, and frames without lines are how the kernel tells its own
# from the script's.
_COMPILE: Final = b"local source, name = ... return string.dump(assert(load(source, '=' .. name, 't')), true)"


def load_library(version: str) -> Any:
    """The lupa module of a language version; ``ScriptFailed`` (``engine-missing``) when this installation has none."""
    module = MODULES.get(version)
    if module is None:
        raise InvalidInput(f"there is no Lua {version!r}; choose one of {', '.join(MODULES)}", code="engine-unknown")
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        raise ScriptFailed(
            f"Lua {version} is not in this installation: {module} cannot be imported ({exc})",
            code="engine-missing",
            hint="install a lupa wheel of 2.8 or later, or choose the other Lua version",
        ) from exc


@functools.cache
def prelude_sources() -> tuple[bytes, ...]:
    """The prelude's files in the order they run, read once."""
    folder = resources.files("llmspell.script.lua") / "prelude"
    return tuple((folder / f"{name}.lua").read_bytes() for name in PRELUDE_FILES)


@functools.lru_cache(maxsize=64)
def _compiled(version: str, name: str, source: bytes) -> bytes:
    """Trusted source as byte code of one Lua version: compiled once a process, loaded by each runtime."""
    library = load_library(version)
    try:
        code = library.LuaRuntime(encoding=None, register_eval=False).execute(_COMPILE, source, name.encode())
    except library.LuaError as exc:
        raise InvalidInput(f"prelude {name!r} failed: {exc}", code="prelude-failed") from exc
    return bytes(code)


def _compiled_prelude(version: str) -> list[bytes]:
    return [_compiled(version, name, source) for name, source in zip(PRELUDE_FILES, prelude_sources(), strict=True)]


def prelude_digest(options: EngineOptions) -> str:
    """BLAKE3 (hex) of all trusted code and of the binding table: equal digests mean equal stubs."""
    digest = blake3()
    for source in prelude_sources():
        digest.update(len(source).to_bytes(8, "big") + source)
    for prelude in options.preludes:
        digest.update(conversion.pack([prelude.name, prelude.source], "prelude"))
    names = sorted(
        (space, key, host) for space, functions in options.bindings.items() for key, host in functions.items()
    )
    digest.update(conversion.pack([list(entry) for entry in names], "bindings"))
    digest.update(conversion.pack(sorted(options.nested_callbacks), "nested_callbacks"))
    return digest.hexdigest()


def _deny(_object: object, name: object, _setting: object) -> str:
    raise AttributeError(f"{name!r} is denied")


class LuaRuntime:
    """One Lua state with the prelude loaded; ``kernel.lua`` and ``environment.lua`` say what its entries return.

    Raises ``ScriptFailed`` when the library lacks this version and ``InvalidInput`` for options it cannot honour.
    Cost: about half a millisecond.
    """

    __slots__ = (
        "_limit", "_lua", "abandon", "call", "collect", "compiles", "counters", "failure", "known", "memory_message",
        "release", "settle", "start", "version",
    )  # fmt: skip

    def __init__(self, version: str, options: EngineOptions) -> None:
        """Build the state, load the prelude and run the binding layer's own preludes."""
        limits = options.limits
        library = load_library(version)
        self.version = version
        self.failure = library.LuaError
        self._lua = _new_state(library, options)
        self._limit = limits.memory_bytes
        self.memory_message = f"the script used more than {limits.memory_bytes} bytes of memory"
        entries = self._lua.execute(_BOOT, *self._boot_arguments(options))
        (self.start, self.call, self.settle, self.abandon, self.release) = entries[:5]
        self.known, self.counters, trust, self.collect, self.compiles = entries[5:]
        for prelude in options.preludes:
            _run_prelude(trust, prelude, _compiled(version, prelude.name, prelude.source.encode()))

    def _boot_arguments(self, options: EngineOptions) -> list[Any]:
        limits = options.limits
        settings = {
            "instruction_limit": limits.instructions,
            "slice_s": float(limits.slice_s),
            "depth_limit": limits.call_depth,
            "memory_kib": self._lua.get_max_memory(total=True) / 1024,
            "memory_message": self.memory_message.encode(),
            "depth_max": VALUE_DEPTH_MAX,
            "nodes_max": VALUE_NODES_MAX,
            "prng_seed": _signed(options.seeds.prng),
            "sorted_iteration": self.version == "5.4",
            "packed_bindings": conversion.pack({k: dict(v) for k, v in options.bindings.items()}, "bindings"),
            "packed_nested": conversion.pack(sorted(options.nested_callbacks), "nested_callbacks"),
        }
        flat = [part for name, value in settings.items() for part in (name.encode(), value)]
        return [len(settings), *flat, *_compiled_prelude(self.version)]

    def memory_bytes(self) -> int:
        """Memory the state holds now, garbage included."""
        return int(self._lua.get_memory_used())

    def room_for(self, size: int) -> bool:
        """Whether ``size`` more bytes may be pushed safely; collects garbage when it is tight."""
        needed = size + SPARE_BYTES
        if self._lua.get_memory_used() + needed <= self._limit:
            return True
        self.collect()
        return bool(self._lua.get_memory_used() + needed <= self._limit)


def _new_state(library: Any, options: EngineOptions) -> Any:
    limits, seeds = options.limits, options.seeds
    if not MEMORY_BYTES_MIN <= limits.memory_bytes <= MEMORY_BYTES_MAX:
        raise InvalidInput(
            f"memory_bytes={limits.memory_bytes} is not between {MEMORY_BYTES_MIN} and {MEMORY_BYTES_MAX}"
        )
    if not 1 <= limits.instructions <= INSTRUCTIONS_MAX or not 1 <= limits.call_depth <= CALL_DEPTH_MAX:
        raise InvalidInput(f"instructions are 1 to {INSTRUCTIONS_MAX}, call_depth is 1 to {CALL_DEPTH_MAX}")
    if not limits.slice_s > 0:
        raise InvalidInput(f"slice_s={limits.slice_s} is not positive")
    if not 0 <= seeds.string_hash < 1 << 32 or not 0 <= seeds.prng < 1 << 64:
        raise InvalidInput("seeds are unsigned: string_hash of 32 bits, prng of 64")
    return library.LuaRuntime(
        encoding=None,
        source_encoding="utf-8",
        register_eval=False,
        register_builtins=False,
        unpack_returned_tuples=True,
        attribute_filter=_deny,
        max_memory=limits.memory_bytes,
        string_hash_seed=seeds.string_hash,
    )


def _signed(seed: int) -> int:
    return seed - (1 << 64) if seed >= 1 << 63 else seed


def _run_prelude(trust: Callable[[bytes], Any], prelude: Prelude, code: bytes) -> None:
    result = trust(code)
    if result[0] == 2:
        return
    if result[0] == 4:
        found = str(conversion.unpack(result[2])["message"])
    else:
        found = "it called the host, or was stopped, while it was set up"
    raise InvalidInput(f"prelude {prelude.name!r} failed: {found}", code="prelude-failed")


def describe(version: str, options: EngineOptions) -> EngineInfo:
    """What the record of a run names. Cost: a fifth of a millisecond, most of it the digest."""
    return EngineInfo(
        name="lua",
        language_version=version,
        library_version=f"lupa {metadata.version('lupa')}",
        string_hash_seed=options.seeds.string_hash if version == "5.5" else None,
        prng_seed=options.seeds.prng,
        prelude_digest=prelude_digest(options),
        locale=f"{locale.setlocale(locale.LC_COLLATE)}/{locale.setlocale(locale.LC_NUMERIC)}",
    )
