"""Google ADK: its sqlite session service and its file artifact service."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import texts
from benchmarks.harness import Durability, Runner, async_loop, event_loop
from benchmarks.peers import ADK, equal, require, sync_tree

OWNER = {"app_name": "bench", "user_id": "user"}


class Service:
    """A session service and how an event with a message is made for it."""

    def __init__(self, path: Path) -> None:
        module = require(ADK, "google.adk.sessions.sqlite_session_service")
        self.service = module.SqliteSessionService(str(path))
        self._event = require(ADK, "google.adk.events.event").Event
        self._types = require(ADK, "google.genai.types")
        self._numbers = itertools.count()

    def event(self, message: dict[str, str]) -> Any:
        """A message as an event."""
        content = self._types.Content(role=message["role"], parts=[self._types.Part(text=message["content"])])
        return self._event(invocation_id=f"inv-{next(self._numbers)}", author=message["role"], content=content)

    async def create(self) -> Any:
        """A new session with a name of its own."""
        return await self.service.create_session(**OWNER, session_id=f"s{next(self._numbers)}", state={"k": 1})


@contextmanager
def opened(folder: Path, durability: Durability, *, as_it_comes: bool) -> Iterator[Service]:
    """A service in ``folder``, untouched or in WAL at the given durability."""
    path = folder / "sessions.db"
    with ExitStack() as stack:
        if not as_it_comes:
            stack.enter_context(equal(path, durability))
        yield Service(path)


@contextmanager
def create_session(folder: Path, durability: Durability, *, as_it_comes: bool = False) -> Iterator[Runner]:
    """Create sessions, one after the other."""
    with opened(folder, durability, as_it_comes=as_it_comes) as service, event_loop() as runner:
        yield async_loop(runner, service.create)


@contextmanager
def append_message(
    folder: Path, durability: Durability, *, sessions: int = 1, as_it_comes: bool = False
) -> Iterator[Runner]:
    """Append to ``sessions`` sessions at once, each by its own task."""
    with opened(folder, durability, as_it_comes=as_it_comes) as service, event_loop() as runner:
        messages = itertools.cycle(texts.messages(200))

        async def append(session: Any) -> None:
            await service.service.append_event(session, service.event(next(messages)))

        made = [runner.run(service.create()) for _ in range(sessions)]
        yield async_loop(runner, *(functools.partial(append, session) for session in made))


@contextmanager
def load_session(folder: Path, durability: Durability, *, messages: int) -> Iterator[Runner]:
    """Read back a session of ``messages`` events."""
    with opened(folder, durability, as_it_comes=False) as service, event_loop() as runner:
        session = runner.run(service.create())

        async def fill() -> None:
            for message in texts.messages(messages):
                await service.service.append_event(session, service.event(message))

        runner.run(fill())

        async def load() -> None:
            found = await service.service.get_session(**OWNER, session_id=session.id)
            assert len(found.events) == messages

        yield async_loop(runner, load)


@contextmanager
def list_sessions(folder: Path, durability: Durability, *, sessions: int) -> Iterator[Runner]:
    """List every session of one user."""
    with opened(folder, durability, as_it_comes=False) as service, event_loop() as runner:

        async def fill() -> None:
            for _ in range(sessions):
                await service.create()

        runner.run(fill())

        async def names() -> None:
            found = await service.service.list_sessions(**OWNER)
            assert len(found.sessions) == sessions

        yield async_loop(runner, names)


class _Artifacts:
    """The file artifact service, with the fsyncs it leaves out added when `full` is asked for."""

    def __init__(self, folder: Path, durability: Durability) -> None:
        self._folder, self._durability = folder, durability
        module = require(ADK, "google.adk.artifacts.file_artifact_service")
        self._part = require(ADK, "google.genai.types").Part
        self._service = module.FileArtifactService(root_dir=str(folder))
        self._numbers = itertools.count()
        self._contents = itertools.cycle(texts.noise(64, 10 * 1024))
        self._base: Path | None = None

    async def save(self) -> str:
        name = f"report-{next(self._numbers)}.bin"
        part = self._part.from_bytes(data=next(self._contents), mime_type="application/octet-stream")
        await self._service.save_artifact(**OWNER, session_id="s", filename=name, artifact=part)
        if self._durability == "full":
            if self._base is None:
                self._base = next(path for path in self._folder.rglob(name) if path.is_dir()).parent
            sync_tree(self._base / name)
        return name

    async def load(self, name: str) -> None:
        found = await self._service.load_artifact(**OWNER, session_id="s", filename=name)
        assert len(found.inline_data.data) == 10 * 1024


@contextmanager
def put_artifact(folder: Path, durability: Durability) -> Iterator[Runner]:
    """Save artifacts of 10 KB under new names."""
    artifacts = _Artifacts(folder, durability)
    with event_loop() as runner:
        yield async_loop(runner, artifacts.save)


@contextmanager
def get_artifact(folder: Path, durability: Durability) -> Iterator[Runner]:
    """Load artifacts of 10 KB."""
    artifacts = _Artifacts(folder, durability)
    with event_loop() as runner:
        names = itertools.cycle([runner.run(artifacts.save()) for _ in range(200)])
        yield async_loop(runner, lambda: artifacts.load(next(names)))


def write_turns(folder: Path, turns: list[str]) -> None:
    """Append turns to one session, for the disk row."""
    with opened(folder, "process", as_it_comes=False) as service, event_loop() as runner:
        session = runner.run(service.create())

        async def fill() -> None:
            for number, text in enumerate(turns):
                role = "assistant" if number % 2 else "user"
                await service.service.append_event(session, service.event({"role": role, "content": text}))

        runner.run(fill())
