"""What hooks are told about migrations. ``operation`` says of what kind each is: ``apply`` and its ``batch``,
``rollback``, ``lazy``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from llmspell.errors import Vetoed
from llmspell.hooks.moment import run_point

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.migration.plan import Plan
    from llmspell.migration.runs import Begun
    from llmspell.model.context import Context

Made = TypeVar("Made")


def plan_data(plan: Plan, operation: str) -> dict[str, Any]:
    """Of a plan as a whole."""
    return {
        "name": plan.name, "from_version": plan.from_version, "to_version": plan.to_version,
        "target": plan.target.to_dict(), "operation": operation, "risk": plan.risk.label, "count": plan.count,
    }  # fmt: skip


def rollback_data(found: Begun, *, automatic: bool) -> dict[str, Any]:
    """Of a run that is to be taken back, of which ``count`` values were changed. ``automatic``: because it failed."""
    more = {"id": found.id, "status": found.status, "count": found.row[14], "automatic": automatic}
    return plan_data(found.plan, "rollback") | more


async def run_apply(hooks: Hooks, context: Context, when: str, data: dict[str, Any]) -> None:
    """The points around a plan as a whole: ``when`` is ``before`` or ``after``. Raises Vetoed."""
    await run_point(hooks, context, f"{when}_migration_apply", "migration", data["operation"], data)


class LazyPoints:
    """Those of one handle that migrates what is read by it: around its making, and around each value that it writes."""

    def __init__(self, hooks: Hooks, acting: Acting, plan: Plan, *, write: bool) -> None:
        self._hooks = hooks
        self._acting = acting
        self._plan = plan
        self._write = write
        self._done = 0

    async def making(self, make: Callable[[], Awaitable[Made]]) -> Made:
        """Make the handle, if hooks let it be. Raises Vetoed, and then nothing is written."""
        context, data = self._acting.context(), plan_data(self._plan, "lazy") | {"write": self._write}
        await run_apply(self._hooks, context, "before", data)
        made = await make()
        await run_apply(self._hooks, context, "after", data)
        return made

    async def ask(self, scope: str, key: str) -> None:
        """Before a value in its new form is written. Raises Vetoed."""
        await self._point("before", self._data(scope, key))

    async def allowed(self, scope: str, key: str) -> bool:
        """The same for a value that is as well given without being written."""
        try:
            await self.ask(scope, key)
        except Vetoed:
            return False
        return True

    async def tell(self, scope: str, key: str) -> None:
        """After it was written."""
        data = self._data(scope, key)
        self._done += 1
        await self._point("after", data | {"changed": 1, "done": self._done})

    def _data(self, scope: str, key: str) -> dict[str, Any]:
        """As of a batch of one, by the handle: there is no run."""
        plan = self._plan
        return {
            "id": None, "name": plan.name, "from_version": plan.from_version, "to_version": plan.to_version,
            "operation": "lazy", "number": self._done + 1, "count": 1, "done": self._done, "total": plan.count,
            "scope": scope, "key": key,
        }  # fmt: skip

    async def _point(self, when: str, data: dict[str, Any]) -> None:
        await run_point(
            self._hooks, self._acting.context(), f"{when}_migration_batch", "migration", "lazy", data
        )  # fmt: skip
