"""Step: one effect of a script while it is under way. It stands in the context of everything done for it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell.errors import ScriptFailed
from llmspell.model.context import Context
from llmspell.runs.items import Called, UnitDone
from llmspell.runs.recorder import revived

if TYPE_CHECKING:
    from llmspell.runs.record import PastStep
    from llmspell.script.strand import Strand


class Step:
    """``path``, ``name``, ``digest`` and ``args`` say which step it is. ``over`` once its result is decided: what is
    written in its context after that (by a task somebody left behind) is not the step's any more.

    ``answers`` are changes that were made before the run was interrupted: they are given again, not made again.
    ``calls_past`` are callbacks that were called then; ``undone``: it had not changed anything itself by then. ``keep``
    goes into the record, ``kept`` came from it. ``secret``: its items in the record are sealed. ``units`` counts what
    it began to write; ``wrote``: some of it was committed, so that the record has its name and arguments by then.
    """

    __slots__ = (
        "answers", "args", "begun_s", "calls", "calls_past", "digest", "keep", "kept", "late", "name", "over", "path",
        "patience_s", "replaying", "secret", "strand", "undone", "units", "wrote",
    )  # fmt: skip

    def __init__(self, strand: Strand, path: str, name: str, digest: str, args: msgspec.Raw) -> None:
        self.strand = strand
        self.path = path
        self.name = name
        self.digest = digest
        self.args = args
        self.units = self.calls = 0
        self.answers: deque[UnitDone] = deque()
        self.calls_past: deque[tuple[int, Called]] = deque()
        self.over = self.late = self.replaying = self.wrote = False
        self.undone = True
        self.secret = strand.secret
        self.keep: Any = None
        self.kept: Any = None
        self.begun_s = self.patience_s = 0.0

    def take_up(self, past: PastStep | None, calls: dict[int, Called]) -> None:
        """What the record has of this step, when its run was interrupted or is to try it anew."""
        self.calls_past.extend(sorted(calls.items()))
        self.calls = max(calls, default=0)
        if past is not None:
            self.undone = False
            self.answers.extend(past.units[number] for number in sorted(past.units))
            if past.done is not None:
                self.kept = past.done.keep

    def next_call(self) -> str:
        """The path of the next callback that is called while this step waits."""
        self.calls += 1
        return f"{self.path}.{self.calls}"

    def hide(self) -> None:
        """What it was given or gives is a secret: its items in the record are sealed, and so is what
        the run gives in the end.
        """
        self.secret = self.strand.run.secret = True

    async def write(self, journal: Any, work: Any, context: Context, *, strong: bool) -> Any:
        """Write for this step; see ``model.context.Recording``."""
        if self.answers:
            answer = self.answers.popleft()
            self.units = answer.number
            self.wrote = True
            return self._revive(answer)
        plain = Context(
            context.session, context.session_correlation, context.correlation, context.cause, context.actor, None
        )
        if self.over or self.replaying:
            return await journal.write(work, context=plain, strong=strong)
        self.units += 1
        mark = UnitDone(self.path, self.name, self.digest, self.units, self.args)
        return await self.strand.uninterrupted(self._commit(work, mark, plain, strong=strong))

    async def _commit(self, work: Any, mark: UnitDone, context: Context, *, strong: bool) -> Any:
        value = await self.strand.recorder.commit(work, mark, context, strong=strong, secret=self.secret)
        self.wrote = True
        return value

    def _revive(self, answer: UnitDone) -> Any:
        try:
            return revived(answer.value)
        except LookupError as exc:
            raise ScriptFailed(
                f"step {self.path} ({self.name}) was interrupted after it changed the store: {exc}",
                code="record-incomplete",
            ) from exc
