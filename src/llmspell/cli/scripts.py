"""``llmspell run`` and ``llmspell exec``: scripts in a session, recorded, and resumed after a kill or a failure."""

from __future__ import annotations

import asyncio
import base64
import errno
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from llmspell.cli import given, printable
from llmspell.cli.invocation import Invocation, running
from llmspell.cli.output import is_terminal
from llmspell.errors import InvalidInput, NotFound, ScriptFailed, StorageFailed

if TYPE_CHECKING:
    from llmspell.script.engine import Limits
    from llmspell.script.host import RunResult

SOURCE_BYTES_MAX = 8 << 20

MemoryMb = Annotated[int | None, Parameter(help="Memory of the script, in MB.")]
TimeoutS = Annotated[float | None, Parameter(help="Seconds that the whole run may take.")]
Instructions = Annotated[int | None, Parameter(help="Instructions that the script may execute.")]
Session = Annotated[str | None, Parameter(help="The session to go on in, by name or id; made when it is missing.")]
KeepOpen = Annotated[bool, Parameter(help="Suspend the new session at the end instead of completing it.")]
Readable = Annotated[
    list[str] | None, Parameter(name="--allow-read", help="A file or folder that the script may read; several times.")
]


def run(
    file: given.Word | None = None, /, *words: Annotated[str, Parameter(help="Arguments of the script, behind --.")],
    session: Session = None,
    resume: Annotated[str | None, Parameter(help="Go on with the last run of this session, or with this run.")] = None,
    changed: Annotated[bool, Parameter(help="Resume with FILE although its text is another than it was.")] = False,
    keep_open: KeepOpen = False,
    args: Annotated[
        list[str] | None, Parameter(consume_multiple=True, help="Fields NAME=JSON of the script's global args.")
    ] = None,
    allow_read: Readable = None,
    memory_mb: MemoryMb = None, timeout_s: TimeoutS = None, instructions: Instructions = None,
) -> None:  # fmt: skip
    """Run a Lua script (- is stdin) in a new session, which is completed, or fails with the script's error.

    With --session it goes on in an active or suspended session and suspends it again. With --resume an interrupted or
    failed run goes on: what it did is not done again.
    """
    _check(file, session, resume, words, args, changed=changed, keep_open=keep_open)
    run = running.get()
    source = None if file is None else _source(file)
    limits, timeout = limits_of(run, memory_mb, timeout_s, instructions)
    options: dict[str, Any] = {"limits": limits, "timeout_s": timeout, "grants": grants_of(allow_read)}
    if resume is None:
        arguments = list(words) if words else given.pairs(args, "--args")
        name = "stdin" if file == given.STDIN else Path(file or "").name
        options |= {"name": name, "session": session, "keep_open": keep_open, "args": arguments}
    else:
        options |= {"resume": resume, "changed_source": changed}
    result = _carry_out(run, "run_script", source, options, create=resume is None)
    if run.out.json:
        run.out.one(_told(result), "")
    else:
        run.out.note(f"session {result.session_id} is {result.session_status}")


def exec_code(
    code: given.Code, /, *, session: Session = None, keep_open: KeepOpen = False,
    memory_mb: MemoryMb = None, timeout_s: TimeoutS = None, instructions: Instructions = None,
) -> None:  # fmt: skip
    """Run a piece of Lua; an expression's value is printed as JSON. Sessions are as with `llmspell run`."""
    refuse_contradiction(session, keep_open=keep_open)
    if not code.strip():
        raise InvalidInput("there is no code to run", code="usage")
    run = running.get()
    limits, timeout = limits_of(run, memory_mb, timeout_s, instructions)
    options = {"session": session, "keep_open": keep_open, "limits": limits, "timeout_s": timeout}
    result = _carry_out(run, "exec_code", code, options, create=True)
    if run.out.json:
        run.out.one(_told(result), "")
    elif result.value is not None:
        run.out.write(printable.json_text(crossing(result.value)))


def refuse_contradiction(session: str | None, *, keep_open: bool) -> None:
    """Refuse --session with --keep-open. Raises InvalidInput (``usage``)."""
    if session is not None and keep_open:
        raise InvalidInput("--session leaves its session open anyway: leave --keep-open out", code="usage")


def crossing(value: Any) -> Any:
    """A script's value in JSON types: bytes that are no text become ``{"base64": …}``."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: crossing(one) for key, one in value.items()}
    return [crossing(one) for one in value] if isinstance(value, list | tuple) else value


def speaker(run: Invocation) -> Any:
    """Where a script's lines go: stdout; stderr where stdout is one JSON value. Nobody listening does not stop it.

    A person's terminal gets only what it would print. Raises StorageFailed (``system-error``) when the disk is full.
    """
    stream = run.out.stderr if run.out.json else run.out.stdout
    shown = printable.block if is_terminal(stream) else str
    closed = False

    def say(line: str) -> None:
        nonlocal closed
        if closed:
            return
        try:
            stream.write(shown(line) + "\n")
            stream.flush()
        except BrokenPipeError:
            closed = True
        except OSError as exc:
            if exc.errno == errno.EBADF:
                closed = True  # It was never open. The script's work goes on; the command says so at its end.
                return
            raise StorageFailed(
                f"what the script prints cannot be written: {exc.strerror}", code="system-error"
            ) from exc

    return say


def limits_of(
    run: Invocation, memory_mb: int | None, timeout_s: float | None, instructions: int | None
) -> tuple[Limits | None, float | None]:
    """What settings and flags say about a runtime (None: nothing), and the seconds that a whole run may take."""
    from llmspell.script.engine import Limits

    flags = {"script.memory_mb": memory_mb, "script.timeout_s": timeout_s, "script.instructions": instructions}
    config = run.configured(flags)
    said: dict[str, Any] = {}
    if config.value("script.memory_mb") is not None:
        said["memory_bytes"] = config.value("script.memory_mb") << 20
    if config.value("script.instructions") is not None:
        said["instructions"] = config.value("script.instructions")
    return (Limits(**said) if said else None), config.value("script.timeout_s")


def grants_of(readable: list[str] | None) -> Any:
    """What the script may read beyond the store; None when nothing was said."""
    if readable is None:
        return None
    from llmspell.script.grants import Grants

    return Grants(tuple(Path(one).absolute() for one in readable))


def _carry_out(
    run: Invocation, function: str, source: str | None, options: dict[str, Any], *, create: bool
) -> RunResult:
    from llmspell.script import host

    async def work() -> RunResult:
        async with run.changing_async(create=create) as store:
            result: RunResult = await getattr(host, function)(store, source, on_print=speaker(run), **options)
            return result

    try:
        return asyncio.run(work())
    except ScriptFailed as exc:
        if exc.hint is None and function == "run_script" and "session" in exc.details:
            exc.hint = f"`llmspell run --resume {exc.details['session']}` goes on where it stopped"
        raise


def _check(
    file: str | None, session: str | None, resume: str | None, words: tuple[str, ...], args: list[str] | None, *,
    changed: bool, keep_open: bool,
) -> None:  # fmt: skip
    """Refuse what contradicts itself. Raises InvalidInput (``usage``)."""
    refuse_contradiction(session, keep_open=keep_open)
    wrong = None
    if file is None and resume is None:
        wrong = "llmspell run needs FILE"
    elif file == "":
        wrong = "the script is empty"
    elif resume is not None and (session is not None or keep_open or words or args):
        wrong = "a resumed run has its own session and arguments: leave --session, --keep-open and arguments out"
    elif changed and (resume is None or file is None):
        wrong = "--changed goes with --resume and FILE"
    elif words and args:
        wrong = "give the script either --args NAME=VALUE or words behind --"
    if wrong is not None:
        raise InvalidInput(wrong, code="usage", hint="`llmspell run --help` shows how it is used")


def _source(file: str) -> str:
    if file == given.STDIN:
        return given.read_stdin()
    path = Path(file)
    try:
        if path.is_file() and path.stat().st_size > SOURCE_BYTES_MAX:
            raise InvalidInput(f"{file!r} is longer than the {SOURCE_BYTES_MAX:,} bytes of a script", code="too-long")
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound(f"there is no file {file!r}", code="file-not-found") from None
    except UnicodeDecodeError as exc:
        raise InvalidInput(f"{file!r} is not UTF-8 text: {exc}", code="not-text") from None
    except IsADirectoryError:
        raise InvalidInput(f"{file!r} is a folder, not a script", code="invalid-path") from None


def _told(result: RunResult) -> dict[str, Any]:
    return {
        "value": crossing(result.value), "run": result.run_id, "session": result.session_id,
        "status": result.session_status,
    }  # fmt: skip
