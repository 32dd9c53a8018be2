"""Logger, Utils and Config, and what the engine itself asks for: lines of output and the clock."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

from blake3 import blake3

from llmspell.errors import InvalidInput
from llmspell.operations.host import Host
from llmspell.operations.operation import Effect, Handler, Operation
from llmspell.operations.types import BYTES, CONTENT, JSON, NAME, TABLE, TEXT, Misfit, Param, Type

LEVELS = ("debug", "info", "warn", "error")
SLEEP_MS_MAX = 24 * 3600 * 1000


def _log(level: str) -> Handler:
    async def log(host: Host, message: str, fields: Mapping[str, Any] | None = None) -> None:
        host.log(level, message, fields or {})

    return log


async def _print(host: Host, line: str | bytes) -> None:
    host.print(line if isinstance(line, str) else line.decode("utf-8", "backslashreplace"))


async def _warn(host: Host, line: str | bytes) -> None:
    host.log("warn", line if isinstance(line, str) else line.decode("utf-8", "backslashreplace"), {})


async def _now(host: Host) -> float:
    return host.now_s()


async def _elapsed(host: Host) -> float:
    return host.elapsed_s()


def _told(host: Host, values: Mapping[str, Any], elapsed_s: float) -> None:
    host.passed(elapsed_s)


async def _uuid(host: Host) -> str:
    return host.new_id()


async def _sleep(host: Host, ms: float) -> None:
    await host.sleep(ms / 1000)


async def _hash(host: Host, data: bytes, algorithm: str = "blake3") -> str:
    if algorithm == "blake3":
        return blake3(data).hexdigest()
    if algorithm == "sha256":
        return hashlib.sha256(data).hexdigest()
    raise InvalidInput(
        f"Utils.hash: there is no algorithm {algorithm!r}, only blake3 and sha256", code="invalid-argument"
    )


async def _encode(host: Host, data: bytes) -> str:
    return base64.b64encode(data).decode()


async def _decode(host: Host, text: str) -> str | bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("Utils.base64_decode: this is not base64", code="invalid-argument") from None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


async def _trim(host: Host, text: str) -> str:
    return text.strip()


async def _split(host: Host, text: str, separator: str) -> list[str]:
    return text.split(separator)


async def _config(host: Host, key: str, default: Any = None) -> Any:
    value: Any = host.config
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = value[part]
    return dict(value) if isinstance(value, Mapping) else value


async def _all(host: Host) -> dict[str, Any]:
    return dict(host.config)


def _milliseconds(value: Any) -> float:
    if type(value) not in {int, float} or not 0 <= value <= SLEEP_MS_MAX:
        raise Misfit(f"milliseconds from 0 to {SLEEP_MS_MAX:,}", value)
    return float(value)


_DATA = Param("data", BYTES, "text or bytes")
_LINE = Param("line", CONTENT, "what is said")

OPERATIONS = (
    *(
        Operation(
            "Logger", (level, "warning") if level == "warn" else (level,),
            ((Param("message", TEXT, "what is said"), Param("fields", TABLE, "facts beside it", optional=True)),),
            "nothing", f"A line of the log, at level {level}.", _log(level), lua_returns="nil", whole=True,
        )
        for level in LEVELS
    ),
    Operation(
        "Utils", ("uuid", "new_id"), ((),), "a new UUID", "A time-ordered identifier.", _uuid, lua_returns="string"
    ),
    Operation(
        "Utils", ("sleep",), ((Param("ms", Type("milliseconds", "number", _milliseconds), "how long"),),), "nothing",
        "Wait. Callbacks of hooks and events run meanwhile.", _sleep, lua_returns="nil",
        wait_s=lambda values: values["ms"] / 1000,
    ),
    Operation(
        "Utils", ("now",), ((),), "seconds since 1970, with fractions", "The time.", _now, lua_returns="number"
    ),
    Operation(
        "Utils", ("hash",), ((_DATA, Param("algorithm", NAME, "blake3 (default) or sha256", optional=True)),),
        "hexadecimal text", "The digest of text or bytes.", _hash, effect=Effect.PURE, lua_returns="string",
    ),
    Operation(
        "Utils", ("base64_encode",), ((_DATA,),), "text", "Text or bytes as base64.", _encode,
        effect=Effect.PURE, lua_returns="string",
    ),
    Operation(
        "Utils", ("base64_decode",), ((Param("text", TEXT, "base64"),),), "text or bytes",
        "What base64 text stands for.", _decode, effect=Effect.PURE, lua_returns="string",
    ),
    Operation(
        "Utils", ("trim",), ((Param("text", TEXT),),), "text", "Text without white space at its ends.", _trim,
        effect=Effect.PURE, lua_returns="string",
    ),
    Operation(
        "Utils", ("split",), ((Param("text", TEXT), Param("separator", NAME, "plain text")),), "a list of texts",
        "The parts of a text between separators.", _split, effect=Effect.PURE, lua_returns="string[]",
    ),
    Operation(
        "Config", ("get",), ((Param("key", NAME, "dots lead into tables"), Param("default", JSON, optional=True)),),
        "the setting, or the default", "A setting the run was started with.", _config, effect=Effect.PURE,
    ),
    Operation(
        "Config", ("all", "get_all"), ((),), "a table", "All settings the run was started with.", _all,
        effect=Effect.PURE, lua_returns="table",
    ),
)  # fmt: skip
ENGINE = (
    Operation("", ("print",), ((_LINE,),), "nothing", "A line of output.", _print, lua_returns="nil", whole=True),
    Operation("", ("warn",), ((_LINE,),), "nothing", "A line of the log.", _warn, lua_returns="nil", whole=True),
    Operation("clock", ("now",), ((),), "seconds since 1970", "Behind os.time and os.date.", _now),
    Operation(
        "clock", ("elapsed",), ((),), "seconds since the run began", "Behind os.clock.", _elapsed, recalled=_told
    ),
)
