"""The hooks of a run: registered in the store while the run goes on, called back through the script's engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell.hooks.context import HookContext
from llmspell.hooks.hook import HookInfo
from llmspell.operations.shapes import hook_table, present

if TYPE_CHECKING:
    from llmspell.hooks.registry import HookHandle
    from llmspell.script.run import Run


class RunHooks:
    """See ``operations.host.Hooks``. Ids count the run's own registrations, so they are the same when it is resumed."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._own: dict[str, tuple[HookHandle, int]] = {}
        self._count = 0

    async def register(self, point: str, function: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        """Register in the store's hooks; the function runs in the script's engine, whoever triggers the point."""
        run, callback = self._run, function.id
        name = f"hook-{self._count + 1}"

        async def call(context: HookContext) -> Any:
            return await run.calls.deliver(callback, [hook_table(context)])

        traits = {"name": f"{run.name} {name}", **options}
        handle = run.store.hooks.register(point, call, language=run.language, **traits)
        self._count += 1
        self._own[name] = handle, callback
        return {"id": name, "hook_point": handle.point}

    def unregister(self, hook: str) -> bool:
        """Unregister one of the run's own."""
        handle, callback = self._own.pop(hook, (None, 0))
        if handle is None:
            return False
        self._run.engine.release(callback)
        return handle.unregister()

    def list(self, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Hooks of the store; the run's own by the ids it knows."""
        names = {handle.id: name for name, (handle, _) in self._own.items()}
        return [_table(info, names.get(info.id)) for info in self._run.store.hooks.list(**filters)]

    def close(self) -> None:
        """Unregister all of the run's own."""
        own, self._own = self._own, {}
        for handle, _ in own.values():
            handle.unregister()


def _table(info: HookInfo, own: str | None) -> dict[str, Any]:
    return present({
        "id": own or info.id, "own": own is not None, "name": info.name, "point": info.point, "hook_point": info.point,
        "priority": info.priority, "language": info.language, "version": info.version, "tags": list(info.tags),
        "description": info.description or None, "enabled": info.enabled, "on_failure": info.on_failure,
        "timeout_ms": info.timeout_ms,
    })  # fmt: skip
