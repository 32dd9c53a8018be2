"""The difference between what a run's record says and what the script asks for now."""

from __future__ import annotations

from typing import Any

import msgspec

from llmspell.errors import Diverged
from llmspell.runs.record import PastStep

DIFFERENCES_MAX = 20


def differences(recorded: Any, found: Any, path: str = "$") -> list[dict[str, Any]]:
    """Where two JSON values differ: ``{path, recorded, found}`` each, at most 20; a missing part has no field."""
    if type(recorded) is type(found) and isinstance(recorded, dict):
        parts = [(f"{path}.{name}", name) for name in sorted({*recorded, *found})]
        return [one for place, name in parts for one in _part(recorded, found, name, place)][:DIFFERENCES_MAX]
    if type(recorded) is type(found) and isinstance(recorded, list):
        size = max(len(recorded), len(found))
        left, right = dict(enumerate(recorded)), dict(enumerate(found))
        return [one for at in range(size) for one in _part(left, right, at, f"{path}[{at}]")][:DIFFERENCES_MAX]
    same = type(recorded) is type(found) and recorded == found
    return [] if same else [{"path": path, "recorded": recorded, "found": found}]


def _part(recorded: dict[Any, Any], found: dict[Any, Any], name: Any, path: str) -> list[dict[str, Any]]:
    if name not in found:
        return [{"path": path, "recorded": recorded[name]}]
    if name not in recorded:
        return [{"path": path, "found": found[name]}]
    return differences(recorded[name], found[name], path)


def diverged(path: str, past: PastStep, name: str, args: msgspec.Raw, run: str) -> Diverged:
    """The error for a step that is another one than the first time."""
    recorded, found = msgspec.json.decode(past.args), msgspec.json.decode(args)
    was_step, is_step = {"name": past.name, "args": recorded}, {"name": name, "args": found}
    was = past.name if past.name != name else f"{past.name} with other arguments"
    return Diverged(
        f"step {path} of run {run} was {was}; now it is {name}",
        hint="a run goes on only with a script that does the same up to where it was; start a new one with `run`",
        run=run, path=path, recorded=was_step, found=is_step, difference=differences(was_step, is_step),
    )  # fmt: skip


def ended_early(path: str, past: PastStep, run: str) -> Diverged:
    """The error for a script that ended where its record goes on."""
    return Diverged(
        f"the script ended before step {path} of run {run}, which was {past.name}",
        run=run, path=path, recorded={"name": past.name, "args": msgspec.json.decode(past.args)}, found=None,
    )  # fmt: skip
