"""A prompt: chunks of Lua one after the other in one runtime, recorded as one run.

The prompt's waiting is a step of the run too, so hooks and events of the script are served while nobody types.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from llmspell.errors import Conflict, ScriptFailed
from llmspell.model.ids import id_text
from llmspell.model.values import encode_value
from llmspell.script.conduct import end_well
from llmspell.script.engine import Done, Limits, ScriptError
from llmspell.script.failures import CODE_CANCELLED, Halted, Stop, script_failed
from llmspell.script.grants import Grants
from llmspell.script.host import OnPrint, begin, begin_entry, closed_on_error, draw_seeds, held, new_engine
from llmspell.script.run import Run
from llmspell.script.sessions import Then, session_for

if TYPE_CHECKING:
    from llmspell.store import AsyncStore

NAME = "repl"
CHUNK = "prompt"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a text. ``values`` are its results, what cannot cross as its text; ``incomplete`` asks for more of
    the same text; ``error`` has the script's traceback in its details.
    """

    kind: Literal["values", "incomplete", "error"]
    values: tuple[Any, ...] = ()
    error: ScriptFailed | None = None


class Repl:
    """An open prompt; get one from ``open_repl``."""

    def __init__(self, run: Run, then: Then) -> None:
        self._run = run
        self._then = then
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._reply: asyncio.Future[Reply] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def session_id(self) -> str:
        """The session it works in."""
        return self._run.session.id

    @property
    def run_id(self) -> str:
        """Its run."""
        return self._run.id

    async def feed(self, text: str) -> Reply:
        """Run a text and give what came of it. Cancelling stops what it waits for; the prompt goes on.

        Raises Conflict when the prompt is closed or a text is still running, and what ended the run as a whole.
        """
        if self._task is None or self._task.done():
            raise Conflict("the prompt is closed", code="closed")
        if self._reply is not None:
            raise Conflict("the text before is still running", code="prompt-busy")
        self._reply = asyncio.get_running_loop().create_future()
        self._texts.put_nowait(text)
        either: list[asyncio.Future[Any]] = [self._reply, self._task]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if not self._reply.done():  # else the text had ended, and it would be the next one that stops
                self._run.main.interrupt(Stop(CODE_CANCELLED, "interrupted"))
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            self._reply = None
            raise
        reply, self._reply = self._reply, None
        if not reply.done():
            self._task.result()
        return reply.result()

    def begin(self) -> None:
        """Start to wait for texts."""
        self._task = asyncio.create_task(self._run.protect(self._serve()), name="prompt")

    async def end(self) -> None:
        """No more texts: end session and run."""
        if self._task is not None:
            self._texts.put_nowait(None)
            await self._task

    async def _serve(self) -> None:
        run = self._run
        try:
            while True:
                text = await self._read()
                if text is None:
                    break
                if text:
                    self._answer(await self._evaluate(text))
                    await run.main.flush()
                else:
                    self._drop()
            await end_well(run, self._then, None)
        except Halted as exc:
            raise exc.error from exc.error.__cause__

    def _drop(self) -> None:
        """A text that was cancelled before it began is not run."""
        if self._reply is not None and not self._reply.done():
            while not self._texts.empty():
                self._texts.get_nowait()
            self._answer(Reply("values"))

    async def _read(self) -> str | None:
        """The next text; empty when the wait was interrupted."""
        main = self._run.main
        main.ordinal += 1
        try:
            text: str | None = await main.aside(str(main.ordinal), "prompt.read", [], self._texts.get, wait_s=math.inf)
        except asyncio.CancelledError:
            await main.quiet()
            if main.stop is None:
                raise
            main.stop = None
            return ""
        return text

    async def _evaluate(self, text: str) -> Reply:
        run = self._run
        try:
            done = await run.main.follow(run.engine.start(text, CHUNK, expression=True))
        except asyncio.CancelledError:
            await run.main.quiet()
            stop = run.main.stop
            if stop is None:
                raise
            run.main.stop = None
            (stopped,) = run.engine.stop(run.main.run_id, stop.code, stop.message)
            if not isinstance(stopped, Done):
                raise
            done = stopped
        return self._reply_of(done.error, done.values)

    def _reply_of(self, error: ScriptError | None, values: tuple[Any, ...]) -> Reply:
        if error is None:
            return Reply("values", values)
        if error.incomplete:
            return Reply("incomplete")
        cause = self._run.cause_of(error)
        failed = script_failed(error, cause, run=self._run.id, session=self.session_id)
        failed.__cause__ = cause
        return Reply("error", error=failed)

    def _answer(self, reply: Reply) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(reply)


@asynccontextmanager
async def open_repl(
    store: AsyncStore,
    *,
    session: str | None = None,
    keep_open: bool = False,
    args: Any = None,
    config: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    grants: Grants | None = None,
    on_print: OnPrint | None = None,
    version: str | None = None,
) -> AsyncIterator[Repl]:
    """A prompt in a session, as ``run_script`` chooses it; at the end of the block the session is ended as there."""
    arguments = msgspec.json.decode(encode_value({} if args is None else args))
    limits = limits or Limits()
    engine = new_engine(arguments, limits, draw_seeds(store), version)
    with closed_on_error(engine):
        handle, then = await session_for(store, session, NAME, keep_open=keep_open)
    run = Run(
        store, engine, id_text(store.journal.ids.new()), NAME, handle,
        attempt=1, record=None, config=msgspec.json.decode(encode_value(dict(config or {}))),
        grants=grants or Grants(), on_print=on_print or (lambda _line: None),
    )  # fmt: skip
    async with held(run, None):
        run.begun(await begin(run, begin_entry(run, "", mode="repl", args=arguments, limits=limits, then=then)))
        repl = Repl(run, then)
        repl.begin()
        try:
            yield repl
        finally:
            await repl.end()
