"""Runs one hostile script in this process and prints how it ended, as JSON: {"ok", "value" | "code"}.

Started by the sandbox tests as `python attempt.py VERSION < script`, killed by them at a deadline.
"""

import json
import resource
import sys
from pathlib import Path

from llmspell.script.engine import EngineOptions, HostCall, Limits
from llmspell.script.lua import LuaEngine

LIMITS = Limits(memory_bytes=64 << 20, instructions=20_000_000, slice_s=0.5)
BINDINGS = {"Host": {"echo": "echo", "fail": "fail", "call": "call"}}


def answer(engine, event, depth):
    if event.name == "fail":
        return engine.settle(event.call_id, False, {"code": "not-found", "message": "no such thing"})
    if event.name == "call" and depth < 4:
        inner = run(engine, engine.call(event.args[0].id, event.args[1:]), depth + 1)
        return engine.settle(event.call_id, True, inner.value if inner.ok else inner.error.code)
    return engine.settle(event.call_id, True, event.args[0] if event.args else None)


def run(engine, events, depth=0):
    event = events[0]
    while isinstance(event, HostCall):
        event = answer(engine, event, depth)[0]
    return event


def peak_mib():
    """Most memory that was resident. Of this program: ``ru_maxrss`` would tell what the one that started it had."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


def main(version):
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    engine = LuaEngine(EngineOptions(bindings=BINDINGS, limits=LIMITS), version=version)
    done = run(engine, engine.start(sys.stdin.read(), "attack.lua"))
    outcome = {"ok": True, "value": done.value} if done.ok else {"ok": False, "code": done.error.code}
    if not done.ok:
        outcome["message"] = done.error.message[:300]
    outcome["peak_mib"] = peak_mib()
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(sys.argv[1])
