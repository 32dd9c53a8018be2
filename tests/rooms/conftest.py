"""Both faces of a store behind one way to use them, so that a test of a room is written once and runs through both."""

import asyncio
import contextvars
import inspect
from contextlib import AbstractAsyncContextManager, _GeneratorContextManager, suppress

import apsw
import pytest

import llmspell
from llmspell.access.service import AsyncAccess, AsyncPrincipalAccess
from llmspell.agentstate.service import AsyncAgents
from llmspell.artifacts.captures.service import AsyncCaptures
from llmspell.artifacts.content_handle import AsyncContent
from llmspell.artifacts.service import AsyncArtifacts
from llmspell.events.service import AsyncEvents
from llmspell.events.subscription import Subscription
from llmspell.migration.lazily import AsyncLazyState
from llmspell.migration.lazy_agents import AsyncLazyAgents
from llmspell.migration.service import AsyncMigrations
from llmspell.model.clock import ManualClock
from llmspell.principals.events import AsyncPrincipalEvents
from llmspell.principals.handle import AsyncPrincipal
from llmspell.principals.sharing import AsyncPrincipalSharing, AsyncSharing
from llmspell.principals.state import AsyncPrincipalState
from llmspell.registry.service import AsyncSchemas
from llmspell.schema import later_tables
from llmspell.sessions.service import AsyncSessions
from llmspell.sessions.session import AsyncSession
from llmspell.state.past import AsyncPastState
from llmspell.state.service import AsyncState
from llmspell.store import AsyncStore
from llmspell.views import AsyncView

DRIVEN = (
    AsyncStore, AsyncSession, AsyncSessions, AsyncState, AsyncArtifacts, AsyncCaptures, AsyncContent, AsyncEvents,
    AsyncAgents, AsyncMigrations, Subscription,
    AsyncAccess, AsyncSharing, AsyncPrincipal, AsyncPrincipalState, AsyncPrincipalAccess, AsyncPrincipalEvents,
    AsyncPrincipalSharing, AsyncView, AsyncPastState, AsyncSchemas, AsyncLazyState, AsyncLazyAgents,
)  # fmt: skip


class Face:
    """One way to open and use stores. ``clock`` is the one every store of the test gets."""

    def __init__(self, folder):
        self.folder = folder / "store"
        self.clock = ManualClock(step_ns=1000)
        self._stores = []

    def _open(self, folder, **options):
        raise NotImplementedError

    def open(self, **options):
        options = {"durability": "process", "clock": self.clock} | options
        store = self._open(self.folder, **options)
        self._stores.append(store)
        return store

    def reopen(self, **options):
        self.close_stores()
        return self.open(**options)

    def both(self, store):
        """The store as it is, then the same opened again."""
        yield store
        yield self.reopen()

    def close_stores(self):
        while self._stores:
            self._stores.pop().close()

    def close(self):
        self.close_stores()


class SyncFace(Face):
    name = "sync"

    def _open(self, folder, **options):
        return llmspell.open(folder, **options)

    def call(self, function, *args):
        """Call a function where the store's context is."""
        return function(*args)

    def core(self, store):
        """The asynchronous store inside."""
        return store._store


class AsyncFace(Face):
    name = "async"

    def __init__(self, folder):
        super().__init__(folder)
        self._runner = asyncio.Runner()
        self._context = contextvars.copy_context()

    def _open(self, folder, **options):
        return self.settle(llmspell.open_async(folder, **options))

    def call(self, function, *args, **options):
        """Call a function where the store's context is; what it gives that must be awaited is awaited."""
        return self.settle(self._context.run(self._inside, function, args, options))

    def _inside(self, function, args, options):
        return function(*args, **options)

    def settle(self, value):
        if inspect.isawaitable(value):
            value = self._runner.run(_await(value), context=self._context)
        if inspect.isasyncgen(value):
            return self._runner.run(_collect(value), context=self._context)
        if isinstance(value, (*DRIVEN, AbstractAsyncContextManager)):
            return Driven(self, value)
        if isinstance(value, _GeneratorContextManager):
            return Inside(self, value)
        return value

    def core(self, store):
        return store._inner

    def close(self):
        super().close()
        self._runner.close()


async def _await(value):
    return await value


async def _collect(values):
    return [value async for value in values]


class Driven:
    """An asynchronous object used as if it were synchronous."""

    def __init__(self, face, inner):
        self._face = face
        self._inner = inner

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        if not inspect.ismethod(value):
            return self._face.settle(value)

        def method(*args, **options):
            return self._face.call(value, *map(_bare, args), **{key: _bare(one) for key, one in options.items()})

        return method

    def __enter__(self):
        return self._face.call(self._inner.__aenter__)

    def __exit__(self, *exc):
        return self._face.call(self._inner.__aexit__, *exc)

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self._face.call(self._inner.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None


class Inside:
    """A synchronous block entered where the store's context is."""

    def __init__(self, face, inner):
        self._face = face
        self._inner = inner

    def __enter__(self):
        return self._face.call(self._inner.__enter__)

    def __exit__(self, *exc):
        return self._face.call(self._inner.__exit__, *exc)


def _bare(value):
    return value._inner if isinstance(value, Driven) else value


FACES = {"sync": SyncFace, "async": AsyncFace}


@pytest.fixture(params=sorted(FACES))
def face(request, tmp_path):
    made = FACES[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(face):
    return face.open()


@pytest.fixture
def clock(face):
    return face.clock


def sql(face, store):
    """A connection's ``execute`` past every check, to damage a store as bad hardware or an attacker would."""
    execute = face.core(store)._files.engine.writer.execute
    for script in dict.fromkeys(later_tables().values()):
        with suppress(apsw.SQLError):  # They are there already.
            execute(script)
    return execute
