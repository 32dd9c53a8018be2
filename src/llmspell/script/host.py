"""Running scripts: what the command line and programs call.

A run belongs to a session, is recorded from its first step on, and can be resumed by another process after a kill, a
failure or an interruption: it does nothing twice. One process at a time does a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import msgspec
from blake3 import blake3

from llmspell.artifacts.kinds import ArtifactStored
from llmspell.errors import Conflict, InvalidInput, NotFound
from llmspell.model.ids import id_text
from llmspell.model.values import encode_value
from llmspell.runs import units
from llmspell.runs.kinds import RunResumed, RunStarted
from llmspell.runs.record import Record, read_record
from llmspell.runs.recorder import keep_struct
from llmspell.script import bindings
from llmspell.script.conduct import END, conduct, is_end
from llmspell.script.engine import CODE_TIME_LIMIT, Done, Engine, EngineEvent, Limits, Seeds
from llmspell.script.failures import Stop, script_failed
from llmspell.script.grants import Grants
from llmspell.script.lease import Lease
from llmspell.script.run import Run, check_name, demand_same
from llmspell.script.sessions import run_to_resume, session_for, take_up

if TYPE_CHECKING:
    from llmspell.sessions.session import AsyncSession
    from llmspell.store import AsyncStore

keep_struct(ArtifactStored)
OnPrint = Callable[[str], None]
EXEC = "exec"


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. ``value`` is what the script returned first; ``session_status`` how its session stands now."""

    value: Any
    run_id: str
    session_id: str
    session_status: str

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types, if the value is of them."""
        return asdict(self)


async def run_script(
    store: AsyncStore,
    source: str | None,
    *,
    name: str = "script.lua",
    session: str | None = None,
    keep_open: bool = False,
    resume: str | None = None,
    changed_source: bool = False,
    args: Any = None,
    config: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    grants: Grants | None = None,
    on_print: OnPrint | None = None,
    timeout_s: float | None = None,
    call_timeout_s: float | None = None,
    mode: str = "script",
    version: str | None = None,
) -> RunResult:
    """Run a Lua script in a session, or ``resume`` a run that was interrupted or failed.

    Without ``session``, a new one of the script's name is completed when the script ends well (``keep_open``:
    suspended) and fails with its error. With ``session`` (id or unique name) that one is used, made if need be, and
    suspended again. ``args`` (JSON) become the global ``args``, and a list's items the chunk's arguments; ``config`` is
    what ``Config`` gives. ``on_print`` gets each line of output; nothing is printed without it. ``limits`` bound the
    runtime, ``timeout_s`` the whole run, ``call_timeout_s`` a host call beyond what it waits on purpose (600 s).

    ``resume`` names a run or a session by id, or a session by name: its last run goes on with its own source,
    arguments, configuration, limits and engine; what it did is answered from its record. ``source`` may then be None;
    another text is refused unless ``changed_source``. ``limits`` and ``grants`` may be given anew.

    Raises ScriptFailed (its ``details["traceback"]`` is the script's) from the Python exception behind it, Diverged,
    Busy (``run-busy``), Conflict (``session-ended``, ``nothing-to-resume``, ``source-changed``, ``engine-changed``,
    ``run-taken-over``), NotFound. A text that does not compile leaves everything as it is. When the caller is
    cancelled, the run is recorded as interrupted and its session suspended.
    """
    say = on_print if on_print is not None else lambda _line: None
    if resume is not None:
        is_bare = session is None and not keep_open and args is None and config is None and version is None
        _demand(is_bare, "a resumed run has its own session, arguments and configuration")
        given = Given(source, changed_source, limits, grants, say, timeout_s, call_timeout_s)
        return await _resume(store, resume, given)
    if source is None:
        raise InvalidInput("there is no source to run", code="invalid-argument")
    _demand(session is None or not keep_open, "a session that is named is kept open anyway; leave keep_open out")
    arguments, settings = _copy({} if args is None else args), _copy(dict(config or {}))
    limits = limits or Limits()
    engine = new_engine(arguments, limits, draw_seeds(store), version)
    with closed_on_error(engine):
        events = start(engine, source, check_name(name), arguments, mode)
        demand_compiled(events)
        handle, then = await session_for(store, session, PurePath(name).stem or name, keep_open=keep_open)
    run = Run(
        store, engine, id_text(store.journal.ids.new()), name, handle, attempt=1, record=None, config=settings,
        grants=grants or Grants(), on_print=say, patience_s=call_timeout_s,
    )  # fmt: skip
    started = begin_entry(run, source, mode=mode, args=arguments, limits=limits, then=then)
    async with held(run, timeout_s):
        run.begun(await begin(run, started))
        return await _result(run, run.protect(conduct(run, events, then)))


def _copy(value: Any) -> Any:
    """A value that nobody else changes; refused here if it is none."""
    return msgspec.json.decode(encode_value(value))


@contextmanager
def closed_on_error(engine: Engine) -> Iterator[None]:
    """Close the engine if what is inside fails."""
    try:
        yield
    except BaseException:
        engine.close()
        raise


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidInput(otherwise, code="invalid-argument")


async def exec_code(store: AsyncStore, code: str, **options: Any) -> RunResult:
    """Run one chunk of Lua, as ``run_script`` does. An expression's value is its result."""
    options.setdefault("name", "exec")
    return await run_script(store, code, mode=EXEC, **options)


@dataclass(frozen=True, slots=True)
class Given:
    """What may be given anew when a run is resumed."""

    source: str | None
    changed_source: bool
    limits: Limits | None
    grants: Grants | None
    on_print: OnPrint
    timeout_s: float | None
    call_timeout_s: float | None


async def _resume(store: AsyncStore, target: str, given: Given) -> RunResult:
    session, info = await run_to_resume(store, target)
    lease = Lease(store.id, store.path, info.id)
    lease.acquire()
    try:
        _, info = await run_to_resume(store, info.id)
        record = await read_record(store.journal, info, store.protection.opening(f"session:{info.session}"))
        return await _go_on(store, session, record, given)
    finally:
        lease.release()


async def _go_on(store: AsyncStore, session: AsyncSession, record: Record, given: Given) -> RunResult:
    started, info = record.started, record.info
    source = _source_of(record, given)
    limits = given.limits or Limits(**started.limits)
    was = started.engine
    engine = new_engine(
        started.args, limits, Seeds(string_hash=was["seed_hash"], prng=was["prng_seed"]), was["language_version"]
    )
    try:
        events = start(engine, source, started.name, started.args, started.mode)
        demand_compiled(events)
        demand_same(info.id, was, engine_entry(engine, was["seed_hash"]))
    except BaseException:
        engine.close()
        raise
    dropped = _dropped(record)
    for path in dropped:
        record.drop(path)
    grants = given.grants if given.grants is not None else Grants.from_dict(started.grants)
    run = Run(
        store, engine, info.id, started.name, session, attempt=info.attempt + 1, record=record, config=started.config,
        grants=grants, on_print=given.on_print, patience_s=given.call_timeout_s,
    )  # fmt: skip
    changed = source != record.source
    again = RunResumed(
        info.id, run.attempt, dropped, source if changed else None, digest_of_source(source) if changed else None
    )
    async with _closing(run, given.timeout_s):
        seq = await store.journal.write(
            lambda writer: units.resume(writer, run.scope, again), context=run.context(None)
        )
        run.begun(seq)
        if END not in record.steps:
            await take_up(session)
        retry = None if record.failed is None else record.failed.retry
        return await _result(run, run.protect(conduct(run, events, started.then, retry=retry)))  # type: ignore[arg-type]


def _source_of(record: Record, given: Given) -> str:
    if given.source is None or given.source == record.source:
        return record.source
    if not given.changed_source:
        raise Conflict(
            f"run {record.info.id} began with another text of {record.started.name}",
            code="source-changed",
            hint="resume it without a file to go on with its own text, or say that the changed one is meant",
        )
    return given.source


def _dropped(record: Record) -> list[str]:
    """Steps to take anew: the session's end unless it was reached well, and the step whose failure ended the run."""
    end = record.steps.get(END)
    reached = record.failed is None and end is not None and is_end(end, record.started.then)
    dropped = [] if reached or end is None else [END]
    retry = None if record.failed is None else record.failed.retry
    if retry is None and end is not None and end.name == "Session.fail" and record.failed is None:
        # Killed between the session's end and the run's: the step that failed may be the last of the main line.
        last = max((path for path in record.steps if path.isdigit()), key=int, default=None)
        done = None if last is None else record.steps[last].done
        retry = last if done is not None and done.error is not None else None
    return [*dropped, *([] if retry is None else [retry])]


# -- parts that the prompt shares --------------------------------------------------------------------------------------


def new_engine(args: Any, limits: Limits, seeds: Seeds, version: str | None) -> Engine:
    """A Lua runtime with everything bound."""
    from llmspell.script.lua import LuaEngine

    return LuaEngine(bindings.options(args, limits, seeds), version=version)


def start(engine: Engine, source: str, name: str, args: Any, mode: str) -> list[EngineEvent]:
    """Begin a chunk; nothing has an effect before its first event is answered."""
    return engine.start(source, name, args=args if isinstance(args, list) else (), expression=mode == EXEC)


def draw_seeds(store: AsyncStore) -> Seeds:
    """Chance for a new run, from the store's source of it; 63 bits, so that scripts can read their own record."""
    drawn = blake3(store.journal.ids.salt()).digest(12)
    return Seeds(string_hash=int.from_bytes(drawn[:4], "big"), prng=int.from_bytes(drawn[4:], "big") >> 1)


def engine_entry(engine: Engine, seed_hash: int | None) -> dict[str, Any]:
    """What a run's record says about its engine. ``seed_hash`` is the seed given, used by the engine or not."""
    from llmspell import __version__

    info = engine.info
    given = info.string_hash_seed if seed_hash is None else seed_hash
    return {**asdict(info), "seed_hash": given or 0, "llmspell": __version__}


def begin_entry(run: Run, source: str, *, mode: str, args: Any, limits: Limits, then: str) -> RunStarted:
    """The first entry of a run."""
    return RunStarted(
        id=run.id, session=run.session.id, name=run.name, mode=mode, source=source,
        source_digest=digest_of_source(source), args=args, config=dict(run.config),
        engine=engine_entry(run.engine, None), limits=asdict(limits), grants=run.grants.to_dict(), then=then,
    )  # fmt: skip


async def begin(run: Run, started: RunStarted) -> int:
    """Write the first entry; gives its seq."""
    journal = run.store.journal
    return await journal.write(lambda writer: units.start(writer, run.scope, started), context=run.context(None))


def demand_compiled(events: list[EngineEvent]) -> None:
    """Raise for a text that does not compile, before anything was touched."""
    first = events[0]
    if isinstance(first, Done) and first.error is not None and first.error.origin == "syntax":
        raise script_failed(first.error)


def digest_of_source(source: str) -> str:
    """BLAKE3 of a source text."""
    return blake3(source.encode()).hexdigest()


@asynccontextmanager
async def held(run: Run, timeout_s: float | None) -> AsyncIterator[None]:
    """The run's lease, and its end whatever happens."""
    lease = Lease(run.store.id, run.store.path, run.id)
    try:
        lease.acquire()
    except BaseException:
        await run.close()
        raise
    try:
        async with _closing(run, timeout_s):
            yield
    finally:
        lease.release()


@asynccontextmanager
async def _closing(run: Run, timeout_s: float | None) -> AsyncIterator[None]:
    stop = Stop(CODE_TIME_LIMIT, f"the run took longer than {timeout_s} s")
    timer = None
    if timeout_s is not None:
        timer = asyncio.get_running_loop().call_later(timeout_s, run.main.interrupt, stop)
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
        await run.close()


async def _result(run: Run, value: Any) -> RunResult:
    found = await value
    try:
        status = str((await run.session.refresh()).status)
    except NotFound:
        status = "deleted"
    return RunResult(found, run.id, run.session.id, status)
