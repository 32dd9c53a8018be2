"""The synchronous face has every public name of the asynchronous one, with the same arguments and words."""

import inspect

import pytest

from llmspell.access.service import AsyncAccess, AsyncPrincipalAccess
from llmspell.agentstate.service import AsyncAgents
from llmspell.artifacts.captures.service import AsyncCaptures
from llmspell.artifacts.content_handle import AsyncContent
from llmspell.artifacts.service import AsyncArtifacts
from llmspell.events.service import AsyncEvents
from llmspell.opening import open_async
from llmspell.principals.events import AsyncPrincipalEvents
from llmspell.principals.handle import AsyncPrincipal
from llmspell.principals.sharing import AsyncPrincipalSharing, AsyncSharing
from llmspell.principals.state import AsyncPrincipalState
from llmspell.registry.service import AsyncSchemas
from llmspell.sessions.service import AsyncSessions
from llmspell.sessions.session import AsyncSession
from llmspell.state.past import AsyncPastState
from llmspell.state.service import AsyncState
from llmspell.store import AsyncStore
from llmspell.sync.faces import (
    Access,
    Agents,
    Artifacts,
    Captures,
    Content,
    Events,
    PastState,
    Principal,
    PrincipalAccess,
    PrincipalEvents,
    PrincipalSharing,
    PrincipalState,
    Schemas,
    Session,
    Sessions,
    Sharing,
    State,
    Store,
    View,
)  # fmt: skip
from llmspell.sync.opening import open as open_sync
from llmspell.views import AsyncView

PAIRS = [
    (AsyncStore, Store), (AsyncSessions, Sessions), (AsyncSession, Session), (AsyncState, State),
    (AsyncArtifacts, Artifacts), (AsyncCaptures, Captures), (AsyncContent, Content), (AsyncEvents, Events),
    (AsyncAgents, Agents), (AsyncSchemas, Schemas), (AsyncAccess, Access), (AsyncSharing, Sharing),
    (AsyncPrincipal, Principal), (AsyncPrincipalState, PrincipalState), (AsyncPrincipalAccess, PrincipalAccess),
    (AsyncPrincipalEvents, PrincipalEvents), (AsyncPrincipalSharing, PrincipalSharing),
    (AsyncView, View), (AsyncPastState, PastState),
]  # fmt: skip
INSIDE = {
    "AsyncStore.start": "called once by whoever opens",
    "AsyncStore.artifacts_of": "makes rooms for a session's handle",
    "AsyncStore.events_of": "makes rooms for a session's handle",
    "AsyncArtifacts.inside": "for the captures of the same handle",
    "AsyncSession.context": "for the rooms' own use",
    "AsyncSession.enter": "what `with session:` calls",
    "AsyncSession.leave": "what `with session:` calls",
    "AsyncEvents.subscribe_blocking": "what `subscribe` is there",
    "AsyncPrincipalEvents.subscribe_blocking": "what `subscribe` is there",
    "AsyncPrincipalEvents.may_see": "for the rooms' own use",
    "AsyncPrincipalSharing.asking": "what `request` of both faces is put together from",
}


def public(cls):
    return {
        name: member
        for name, member in inspect.getmembers(cls)
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    }


METHODS = [
    pytest.param(theirs, ours, name, id=f"{theirs.__name__}.{name}")
    for theirs, ours in PAIRS
    for name, member in public(theirs).items()
    if inspect.isfunction(member) and f"{theirs.__name__}.{name}" not in INSIDE
]


def shape(function):
    """Names, kinds and defaults of the arguments; types and the rest of the annotations as text."""
    signature = inspect.signature(function)
    return [(one.name, one.kind, one.default, str(one.annotation)) for one in signature.parameters.values()]


@pytest.mark.parametrize("theirs,ours,name", METHODS)
def test_every_method_is_there_with_the_same_arguments_and_is_not_async(theirs, ours, name):
    mine = getattr(ours, name)
    assert shape(mine) == shape(getattr(theirs, name))
    assert not inspect.iscoroutinefunction(inspect.unwrap(mine))
    assert mine.__doc__


@pytest.mark.parametrize("theirs,ours", PAIRS)
def test_every_property_is_there_and_nothing_is_there_alone(theirs, ours):
    wanted = {name for name in public(theirs) if f"{theirs.__name__}.{name}" not in INSIDE}
    assert wanted <= {name for name in dir(ours) if not name.startswith("_")} | instance_names(ours)
    alone = set(public(ours)) - set(public(theirs)) - instance_names(theirs)
    assert alone == set(), "a name of the synchronous face that the asynchronous one does not have"


def instance_names(cls):
    """Attributes that ``__init__`` sets: rooms and ids."""
    source = inspect.getsource(cls)
    import re

    return set(re.findall(r"self\.([a-z]\w*)\b(?=[^=(]* =[^=])", source)) | set(cls.__annotations__)


def test_what_is_inside_exists_and_has_a_reason():
    for place, reason in INSIDE.items():
        cls, name = place.split(".")
        theirs = next(one for one, _ in PAIRS if one.__name__ == cls)
        assert hasattr(theirs, name) or name in theirs.__annotations__, place
        assert reason


def test_both_stores_open_with_the_same_arguments():
    assert shape(open_sync) == shape(open_async)
