"""``llmspell repl``: a prompt for Lua with a store behind it, recorded like every run."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from llmspell import __version__
from llmspell.cli import exits, printable
from llmspell.cli.invocation import Invocation, running
from llmspell.cli.loop_thread import LoopThread
from llmspell.cli.prompt import Lines, converse, history
from llmspell.cli.scripts import (
    Instructions,
    KeepOpen,
    MemoryMb,
    Readable,
    Session,
    crossing,
    grants_of,
    limits_of,
    refuse_contradiction,
    speaker,
)
from llmspell.errors import InvalidInput, LlmspellError, ScriptFailed

if TYPE_CHECKING:
    from llmspell.script.repl import Repl, Reply

HELP = """Lua, line by line; what begins on one line may end on a later one. An expression's value is shown as JSON.
State, Session, Artifact, Event, Hook and the others are the store's rooms.
  .help    this
  .quit    end (or Ctrl-D); Ctrl-C drops what was begun, or stops what runs"""


class _QuitError(Exception):
    """The person has had enough."""


def repl(
    *, session: Session = None, keep_open: KeepOpen = False, allow_read: Readable = None,
    memory_mb: MemoryMb = None, instructions: Instructions = None,
) -> None:  # fmt: skip
    """A prompt for Lua in a session, with the store at hand.

    From a pipe there is no prompt, and the first error ends it. Sessions are as with `llmspell run`.
    """
    refuse_contradiction(session, keep_open=keep_open)
    run = running.get()
    limits, _ = limits_of(run, memory_mb, None, instructions)
    options = {"session": session, "keep_open": keep_open, "limits": limits, "grants": grants_of(allow_read)}
    lines = Lines(interactive=not run.out.json and sys.stdin.isatty() and run.out.on_terminal)
    with LoopThread() as loop:
        stack = AsyncExitStack()
        try:
            prompt = loop.call(_open(run, stack, options))
            _talk(run, lines, prompt, loop)
        finally:
            loop.call(stack.aclose())


async def _open(run: Invocation, stack: AsyncExitStack, options: dict[str, Any]) -> Repl:
    from llmspell.script.repl import open_repl

    store = await stack.enter_async_context(run.changing_async())
    return await stack.enter_async_context(open_repl(store, on_print=speaker(run), **options))


def _talk(run: Invocation, lines: Lines, prompt: Repl, loop: LoopThread) -> None:
    from platformdirs import user_state_path

    def take(text: str) -> bool:
        if text.startswith("."):
            _command(run, text.strip(), lines)
            return True
        reply: Reply = loop.call(prompt.feed(text))
        if reply.error is not None:
            _failed(run, reply.error, lines)
        elif reply.kind == "values":
            _show(run, reply.values)
        return reply.kind != "incomplete"

    if lines.interactive:
        run.out.note(f"llmspell {__version__}, session {prompt.session_id}; .help, .quit")
    place = user_state_path("llmspell", appauthor=False) / "repl_history"
    with history(place, interactive=lines.interactive):
        try:
            left = converse(lines, take)
        except _QuitError:
            return
    if left and not lines.interactive:
        raise ScriptFailed("the script ends in the middle of a statement", code="syntax-error")


def _command(run: Invocation, word: str, lines: Lines) -> None:
    if word == ".quit":
        raise _QuitError
    if word == ".help":
        run.out.note(HELP) if run.out.json else run.out.write(HELP)
    else:
        _failed(run, InvalidInput(f"the prompt has no {word}", code="usage", hint="there are .help and .quit"), lines)


def _failed(run: Invocation, error: LlmspellError, lines: Lines) -> None:
    if not lines.interactive:
        raise error
    exits.report(error, json=False, verbose=run.flags.verbose)


def _show(run: Invocation, values: tuple[Any, ...]) -> None:
    if run.out.json:
        run.out.json_line({"values": [crossing(value) for value in values]})
    elif values:
        run.out.write("\t".join("nil" if value is None else printable.json_text(crossing(value)) for value in values))
        run.out.stdout.flush()
