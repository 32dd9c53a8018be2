"""From words to a command: the tree of commands, and what is wrong with a line that means none of them.

Commands are import strings: only the module of the command that runs is loaded.
"""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.exceptions import MissingArgumentError, UnknownCommandError, UnusedCliTokensError

from llmspell.cli import exits, printable, streams
from llmspell.cli.flags import HELP, Flags, split, wants_json
from llmspell.cli.invocation import Invocation, running
from llmspell.cli.output import Output
from llmspell.errors import InvalidInput, LlmspellError

COMMANDS = {
    "init": ("init:init", "Make a store, encrypted if you say so; other commands make one as they go."),
    "demo": ("demo:demo", "See it work: a research script over real text, killed half way, resumed, and looked at."),
    "run": ("scripts:run", "Run a script in a session of its own."),
    "exec": ("scripts:exec_code", "Run one line of Lua."),
    "repl": ("repl:repl", "A prompt for Lua, with the store at hand."),
    "session": ("session:app", "Sessions: list, show, create, update, steps, checkpoint, restore, fork, export."),
    "state": ("state:app", "State: get, set, list, delete, history, diff, default-class."),
    "artifact": ("artifact:app", "Artifacts: list, query, put, get, update, lineage, grant, export, import, delete."),
    "timeline": ("timeline:timeline", "What happened, in order."),
    "event": ("event:app", "Events: publish, tail."),
    "access": ("access:app", "Access: grant, revoke, list, audit, cut-off, restore, boundary."),
    "schema": ("schema:app", "Schemas: list, show, register, load, compare, bind, unbind, bindings, check."),
    "migrate": ("migrate:app", "Migrations of values: register, plan, apply, status, resume, rollback, validate."),
    "key": ("key:app", "The key of sensitive values: status, create, export, import, rotate."),
    "collect": ("artifact_care:collect", "Take content away that nothing refers to any more."),
    "verify": ("care:verify", "Check every entry, every derived row and all content."),
    "stats": ("care:stats", "What the store holds, in numbers."),
    "doctor": ("doctor:doctor", "Versions, settings, files, permissions, and who has the store open."),
    "config": ("settings:app", "Settings: show."),
    "--install-completion": ("completion:install_completion", "Set up completion for your shell."),
}  # fmt: skip


def dispatch(words: Sequence[str]) -> int:
    """Run one line and give its exit status."""
    streams.complete()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        flags, rest = split(words)
    except LlmspellError as exc:
        return exits.report(exc, json=wants_json(words), verbose=False)
    shown, warnings.formatwarning = warnings.formatwarning, _as_line
    try:
        return exits.guarded(lambda: _run(flags, rest), json=flags.json, verbose=flags.verbose)
    finally:
        warnings.formatwarning = shown


def program(*, colored: bool) -> App:
    """All commands as one application."""
    app = App(
        name="llmspell",
        help="The durable memory of LLM agents and scripts: state, sessions, artifacts and events in one journal.",
        help_epilogue=HELP,
        help_format="plaintext",
        help_formatter="default" if colored else "plain",
        version_flags=(),
        default_parameter=Parameter(negative=(), json_list=False, json_dict=False, show_env_var=False),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for name, (place, text) in COMMANDS.items():
        module, _, attribute = place.partition(":")
        app.command(f"llmspell.cli.{module}:{attribute}", name=name, help=text)
    return app


def _as_line(message: Warning | str, *_: object, **__: object) -> str:
    """A warning for a person, who has no use for the line of our code that gave it."""
    return f"llmspell: warning: {printable.line(str(message))}\n"


def _run(flags: Flags, rest: list[str]) -> None:
    if rest in (["--version"], ["-V"]):
        from llmspell import __version__

        Output(json=flags.json).one({"version": __version__}, f"llmspell {__version__}")
        return
    invocation = Invocation(flags, rest[rest.index("--") + 1 :] if "--" in rest else ())
    token = running.set(invocation)
    try:
        app = program(colored=_help_colored(flags))
        try:
            app(rest, print_error=False, exit_on_error=False)
        except CycloptsError as exc:
            raise _usage(exc) from exc
    finally:
        running.reset(token)


def _help_colored(flags: Flags) -> bool:
    """Help must also print when the settings are broken, so only the line and the environment decide."""
    import os

    from llmspell.config import load

    try:
        color: Any = load([], os.environ, {"color": flags.color}).value("color")
    except LlmspellError:
        color = "never"
    return Output(color=color).colored


def _usage(exc: CycloptsError) -> InvalidInput:
    chain = " ".join(("llmspell", *(exc.command_chain or ())))
    help_hint = f"`{chain} --help` shows how it is used"
    if isinstance(exc, UnknownCommandError):
        return _unknown_command(exc, chain)
    if isinstance(exc, UnusedCliTokensError):
        extra = " ".join(repr(token) for token in exc.unused_tokens or ())
        return InvalidInput(f"{chain} does not take {extra}", code="usage", hint=help_hint)
    if isinstance(exc, MissingArgumentError) and exc.argument is not None:
        return InvalidInput(f"{chain} needs {exc.argument.name}", code="usage", hint=help_hint)
    return InvalidInput(str(exc).strip(), code="usage", hint=help_hint)


def _unknown_command(exc: UnknownCommandError, chain: str) -> InvalidInput:
    word = (exc.unused_tokens or [""])[0]
    names = [name for name in (exc.app or ()) if not name.startswith("-")]
    what = "option" if word.startswith("-") else "command"
    message = f"{chain} has no {what} {word!r}"
    close = difflib.get_close_matches(word, names, n=3)
    if close:
        hint = f"did you mean {' or '.join(f'`{chain} {name}`' for name in close)}?"
    else:
        hint = f"there are {', '.join(sorted(names))}; `{chain} --help` says more"
    return InvalidInput(message, code="usage", hint=hint)
