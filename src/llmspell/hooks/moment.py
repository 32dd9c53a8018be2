"""How a room calls its hooks: before an operation (which they may change or refuse) and after it (which they
observe).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmspell.hooks.context import HookContext
from llmspell.model.ids import id_text

if TYPE_CHECKING:
    from llmspell.hooks.outcome import Outcome
    from llmspell.hooks.registry import Hooks
    from llmspell.hooks.runner import Reload
    from llmspell.model.context import Context


async def run_point(
    hooks: Hooks,
    context: Context,
    point: str,
    component: str,
    operation: str,
    data: dict[str, Any],
    *,
    reload: Reload | None = None,
) -> Outcome | None:
    """Run the hooks of ``point``; None when there are none. Raises Vetoed when one refused.

    ``reload`` gives the data of another target when a hook redirects there, or the same anew with None after a retry.
    """
    if point not in hooks.armed:
        return None
    correlation = context.correlation.id if context.correlation is not None else context.session_correlation
    outcome = await hooks.run(
        point,
        HookContext(
            point=point,
            component=component,
            operation=operation,
            data=data,
            session=id_text(context.session) if context.session else None,
            correlation_id=id_text(correlation) if correlation else None,
            cause=context.cause or None,
        ),
        reload=reload,
    )
    outcome.raise_if_cancelled()
    return outcome
