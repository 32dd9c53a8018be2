"""Reading a run's record back: what a resumed run is answered from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import msgspec

from llmspell.errors import Corrupt, NotFound
from llmspell.journal.reading import EntryQuery, read_page
from llmspell.model.entry import Entry, subject_digest
from llmspell.model.ids import id_bytes, id_text
from llmspell.runs.items import Called, StepDone, Stopped, UnitDone, decode
from llmspell.runs.kinds import RunFailed, RunFinished, RunRecorded, RunResumed, RunStarted
from llmspell.runs.results import open_result
from llmspell.runs.units import subject_of
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal

_SQL = queries("llmspell.runs")
_PAGE = 500
_PAYLOADS: dict[str, type[msgspec.Struct]] = {
    "run.started": RunStarted,
    "run.resumed": RunResumed,
    "run.recorded": RunRecorded,
    "run.finished": RunFinished,
    "run.failed": RunFailed,
}


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run as the table has it. ``status`` is ``running`` (also when its process died), ``finished`` or ``failed``;
    times are nanoseconds since the Unix epoch.
    """

    id: str
    session: str
    name: str
    mode: str
    status: str
    attempt: int
    started_seq: int
    started_at: int
    updated_at: int
    ended_at: int | None
    reason: str | None


@dataclass(slots=True)
class PastStep:
    """What the record knows of one step: ``done`` once it came to its end, ``units`` the changes it made by then."""

    name: str
    digest: str
    args: bytes
    done: StepDone | None = None
    units: dict[int, UnitDone] = field(default_factory=dict)


@dataclass(slots=True)
class Record:
    """A run's whole record, as of its reading. ``secret``: some of it is sealed; it stands here opened."""

    info: RunInfo
    started: RunStarted
    source: str
    steps: dict[str, PastStep] = field(default_factory=dict)
    calls: dict[str, dict[int, Called]] = field(default_factory=dict)
    stops: dict[str, Stopped] = field(default_factory=dict)
    finished: RunFinished | None = None
    failed: RunFailed | None = None
    secret: bool = False

    def drop(self, path: str) -> None:
        """Forget a step with all below it, but for callbacks that others called meanwhile: what they did is done."""
        below = path + "."
        foreign = {number: call for number, call in self.calls.get(path, {}).items() if not call.own}
        kept = tuple(f"{below}{number}" for number in foreign)
        for known in (self.steps, self.calls, self.stops):
            for one in [one for one in known if one == path or one.startswith(below)]:
                if not one.startswith(tuple(f"{call}." for call in kept)) and one not in kept:
                    del known[one]
        if foreign:
            self.calls[path] = foreign

    def handled(self) -> dict[str, int]:
        """By subscription, the last event among the calls that are still to be given again."""
        last: dict[str, int] = {}
        for calls in self.calls.values():
            for call in calls.values():
                if call.origin:
                    last[call.origin] = max(last.get(call.origin, 0), call.args[0]["sequence"])
        return last

    def take(self, entry: Entry, opening: Callable[[str, str], bytes]) -> None:
        """The next entry of the run; ``opening`` opens its sealed items."""
        if entry.payload is None:
            raise NotFound(f"entry {entry.seq} of run {self.info.id} was erased", code="compacted")
        payload: Any = msgspec.json.decode(entry.payload, type=_PAYLOADS[entry.kind])

        def opened(path: str, text: str) -> bytes:
            self.secret = True
            return opening(path, text)

        if isinstance(payload, RunRecorded):
            for raw in payload.items:
                self._take_item(decode(raw, opened))
        elif isinstance(payload, RunResumed):
            for path in payload.dropped:
                self.drop(path)
            self.source = self.source if payload.source is None else payload.source
            self.finished = self.failed = None
        elif isinstance(payload, RunFinished):
            self.finished = cast("RunFinished", open_result(payload, opened))
        elif isinstance(payload, RunFailed):
            self.failed = cast("RunFailed", open_result(payload, opened))

    def _take_item(self, item: StepDone | UnitDone | Called | Stopped) -> None:
        if isinstance(item, Called):
            step, _, number = item.path.rpartition(".")
            self.calls.setdefault(step, {})[int(number)] = item
        elif isinstance(item, Stopped):
            self.stops[item.path] = item
        else:
            past = self.steps.get(item.path)
            if past is None or item.digest not in {"", past.digest}:
                past = self.steps[item.path] = PastStep(item.name, item.digest, bytes(item.args))
            if isinstance(item, StepDone):
                past.done = item
            else:
                past.units[item.number] = item


async def find_run(journal: Journal, run: str) -> RunInfo:
    """A run by id. Raises NotFound (``run-not-found``)."""
    row = await journal.database.one(_SQL["one"], (id_bytes(run, "run"),))
    if row is None:
        raise NotFound(f"there is no run {run!r}", code="run-not-found")
    return _info(row)


async def runs_of(journal: Journal, session: str, *, limit: int = 50) -> list[RunInfo]:
    """The runs of a session, newest first."""
    key = id_bytes(session, "session")
    rows = await journal.database.read(lambda view: view.all(_SQL["of_session"], (key, limit)))
    return [_info(row) for row in rows]


async def read_record(journal: Journal, info: RunInfo, opening: Callable[[str, str], bytes]) -> Record:
    """The record of a run, hashes checked; ``opening`` opens the sealed text of a path's item. Memory grows with it.
    Raises Corrupt, NotFound (``compacted``), WrongKey.
    """
    scope = await journal.scope(f"session:{info.session}")
    if scope is None:
        raise Corrupt(f"run {info.id} has no entries")
    subject = subject_digest(scope[1], subject_of(info.id))
    record: Record | None = None
    after = 0
    while True:
        query = EntryQuery(subject=subject, after=after)
        page = await journal.database.read(lambda view, query=query: read_page(view, query, _PAGE))  # type: ignore[misc]
        for entry in page:
            if record is None:
                if entry.payload is None or entry.kind != "run.started":
                    raise NotFound(f"the beginning of run {info.id} was erased", code="compacted")
                started = msgspec.json.decode(entry.payload, type=RunStarted)
                record = Record(info, started, started.source)
            else:
                record.take(entry, opening)
        if len(page) < _PAGE:
            break
        after = page[-1].seq
    if record is None:
        raise Corrupt(f"run {info.id} has no entries")
    return record


def _info(row: tuple[Any, ...]) -> RunInfo:
    return RunInfo(id_text(row[0]), id_text(row[1]), *row[2:])
