"""Names of points, kinds and event types: the one table that says which exist, and which other spellings mean them.

Points say when (``before_state_set``: about to happen; ``after_state_set``: has happened and is committed). Kinds,
which are the types of the store's own events, say what happened (``state.set``). What must stay true: every name is
canonicalised here and nowhere else, a name has one meaning, and a point that does not exist is refused when it is
named, so that no hook waits for a moment that never comes.

Custom points are names with a dot whose first part is no room (``pipeline.validate``): whoever owns the moment triggers
them. Event types other than those below are the users' own and pass as they are.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from llmspell.errors import InvalidInput
from llmspell.model import limits


class Point(NamedTuple):
    """A moment that hooks can be registered for; each is also accepted in CamelCase (``BeforeStateSet``)."""

    name: str
    moment: str
    aliases: tuple[str, ...] = ()


class Kind(NamedTuple):
    """A kind of entry, and so the type of the event a subscriber sees."""

    name: str
    happened: str
    aliases: tuple[str, ...] = ()


class Row(NamedTuple):
    """One line of the printed table. ``canonical`` has several names where an alias stands for several kinds."""

    sort: str
    canonical: str
    aliases: tuple[str, ...]
    meaning: str


def _pair(
    room: str, verb: str, meaning: str, before: tuple[str, ...] = (), after: tuple[str, ...] = ()
) -> tuple[Point, Point]:
    return (
        Point(f"before_{room}_{verb}", f"about to {meaning}", before),
        Point(f"after_{room}_{verb}", f"done: {meaning}", after),
    )


POINTS: tuple[Point, ...] = (
    *_pair("state", "get", "read a key", ("BeforeStateRead",), ("AfterStateRead",)),
    *_pair("state", "set", "write a key", ("BeforeStateWrite",), ("AfterStateWrite",)),
    *_pair("state", "delete", "delete a key"),
    *_pair("state", "clear", "delete all keys of a scope"),
    *_pair("state", "copy", "copy a scope to another"),
    *_pair("state", "move", "move a scope to another"),
    Point("state_conflict", "a write found another version than it relied on"),
    *_pair("session", "create", "create a session", (), ("SessionStart", "session:start", "session:created")),
    *_pair("session", "fork", "fork a session"),
    *_pair("session", "open", "open a session that exists"),
    *_pair("session", "update", "change name, description, tags or metadata of a session"),
    *_pair("session", "suspend", "suspend a session", (), ("session:suspend",)),
    *_pair("session", "resume", "make a suspended or failed session active", (), ("session:resume",)),
    *_pair("session", "complete", "complete a session", (), ("SessionEnd", "session:end")),
    *_pair("session", "fail", "end a session with a reason"),
    *_pair("session", "archive", "archive a session"),
    *_pair("session", "unarchive", "take a session out of the archive"),
    *_pair("session", "save", "save a session", (), ("SessionSave", "session:save")),
    *_pair("session", "restore", "restore a saved session", (), ("SessionRestore", "session:restore")),
    *_pair(
        "session",
        "checkpoint",
        "mark a point of a session to return to",
        (),
        ("SessionCheckpoint", "session:checkpoint"),
    ),
    *_pair("session", "export", "write a session to a file"),
    *_pair("session", "import", "take in a session from a file"),
    *_pair("session", "delete", "delete a session and what it owns"),
    *_pair("artifact", "put", "store a version of an artifact", (), ("artifact:created", "artifact:stored")),
    *_pair("artifact", "get", "read an artifact", (), ("artifact:accessed",)),
    *_pair("artifact", "update", "change tags, description or metadata of an artifact", (), ("artifact:updated",)),
    *_pair("artifact", "delete", "delete an artifact or a version", (), ("artifact:deleted",)),
    *_pair("artifact", "undelete", "bring a deleted artifact or version back"),
    *_pair("artifact", "capture", "judge an output that was offered, and keep it if a rule says so"),
    *_pair("event", "publish", "publish an event", ("BeforeEventEmit",), ("AfterEventEmit",)),
    Point("event_handler_error", "a subscriber's callback raised"),
    *_pair("agent", "save", "save an agent's record"),
    *_pair("agent", "append", "append a message to an agent's conversation"),
    *_pair("agent", "delete", "delete an agent's record"),
    *_pair("agent", "init", "make an agent ready"),
    *_pair("agent", "execution", "run an agent"),
    Point("agent_error", "an agent failed"),
    *_pair("agent", "shutdown", "end an agent"),
    *_pair("tool", "discovery", "look for tools"),
    *_pair("tool", "execution", "call a tool"),
    Point("tool_validation", "arguments of a tool call are being checked"),
    Point("tool_error", "a tool failed"),
    Point("before_workflow_start", "about to start a workflow"),
    Point("workflow_stage_transition", "a workflow goes from one stage to the next"),
    *_pair("workflow", "stage", "run one stage of a workflow"),
    Point("workflow_checkpoint", "a workflow's progress was kept"),
    Point("workflow_rollback", "a workflow goes back"),
    Point("after_workflow_complete", "a workflow ended"),
    Point("workflow_error", "a workflow failed"),
    *_pair("backup", "create", "take a backup"),
    *_pair("backup", "restore", "restore a backup"),
    *_pair(
        "migration",
        "apply",
        "change stored values to another schema version, at once or as they are read, or take that back",
        ("before_migration", "before_state_migrate", "BeforeStateMigrate"),
        ("after_migration", "after_state_migrate", "AfterStateMigrate", "StateMigration"),
    ),
    *_pair("migration", "batch", "migrate one batch of values, or one that is read"),
    *_pair("schema", "register", "register a version of a schema"),
    Point("system_startup", "the store was opened"),
    Point("system_shutdown", "the store is being closed"),
    Point("configuration_change", "the configuration changed"),
    Point("resource_limit_exceeded", "a stated limit was reached"),
    Point("security_violation", "something forbidden was tried"),
    Point("performance_threshold_exceeded", "an operation took longer than its threshold"),
    Point("memory_usage_high", "memory passed its threshold"),
    Point("cpu_usage_high", "processor time passed its threshold"),
)

KINDS: tuple[Kind, ...] = (
    Kind("state.set", "a key was written", ("state.write", "state.written")),
    Kind("state.deleted", "a key was deleted", ("state.delete",)),
    Kind("state.expired", "keys reached the end of their time to live"),
    Kind("state.default_set", "new keys of a scope got another class by default"),
    Kind("session.created", "a session was created", ("session.start", "session.started", "session.create")),
    Kind("session.forked", "a session began as the fork of another", ("session.fork",)),
    Kind("session.updated", "a session's name, description, tags or metadata changed", ("session.update",)),
    Kind("session.suspended", "a session was suspended", ("session.suspend",)),
    Kind("session.resumed", "a session became active again", ("session.resume",)),
    Kind("session.completed", "a session was completed", ("session.complete",)),
    Kind("session.failed", "a session ended with a reason", ("session.fail",)),
    Kind("session.archived", "a session was archived", ("session.archive",)),
    Kind("session.unarchived", "a session left the archive", ("session.unarchive",)),
    Kind("session.saved", "a session was saved", ("session.save",)),
    Kind("session.restored", "a session was restored", ("session.restore",)),
    Kind("session.checkpointed", "a point of a session was marked", ("session.checkpoint",)),
    Kind("session.imported", "a session of another store was taken in"),
    Kind("session.auto_save_failed", "a session could not be saved in the background"),
    Kind("session.retention_set", "how long sessions are kept was set"),
    Kind("session.cleaned", "a cleanup of sessions came to its end"),
    Kind("session.template_set", "a template of sessions was registered or taken away"),
    Kind("session.deleted", "a session and what it owns was deleted", ("session.delete",)),
    Kind(
        "artifact.stored",
        "a version of an artifact was stored",
        ("artifact.created", "artifact.create", "artifact.put"),
    ),
    Kind("artifact.adopted", "a fork made a version that it inherited its own", ()),
    Kind("artifact.updated", "an artifact's tags, description or metadata changed", ("artifact.update",)),
    Kind("artifact.deleted", "an artifact or a version was deleted", ("artifact.delete",)),
    Kind("artifact.undeleted", "a deleted version is there again", ("artifact.undelete",)),
    Kind("artifact.erased", "the content of a deleted version may go"),
    Kind("artifact.captured", "an output that was offered was kept as an artifact"),
    Kind("artifact.capture_skipped", "an output that was offered was not kept, which is recorded where it is asked"),
    Kind("artifact.capture_rules_set", "which outputs are kept as artifacts was set"),
    Kind("artifact.quota_set", "a bound was set on what a session or the store may hold"),
    Kind("artifact.tagged", "a version of an artifact got or lost a tag"),
    Kind("artifact.related", "an artifact was said to be derived from another, its child, or otherwise related"),
    Kind("artifact.unrelated", "a relation of artifacts ended"),
    Kind("artifact.renamed", "every version of an artifact has another name"),
    Kind("artifact.granted", "another session may read, write or admin an artifact"),
    Kind("artifact.revoked", "what a session was granted of an artifact ended"),
    Kind("event.published", "a user's event was published", ("event.emit", "event.emitted", "event.publish")),
    Kind("agent.saved", "parts of an agent's record changed", ("agent.save",)),
    Kind("agent.message_appended", "a message came to an agent's conversation"),
    Kind("agent.message_placed", "a message was put inside an agent's conversation, or in another's place"),
    Kind("agent.tool_used", "a call of a tool was counted"),
    Kind("agent.deleted", "an agent's record was deleted", ("agent.delete",)),
    Kind("schema.registered", "a version of a schema is known", ("schema.register",)),
    Kind("schema.bound", "values of keys are held against a schema"),
    Kind("schema.unbound", "values of keys are held against nothing any more"),
    Kind("session.shredded", "a session was destroyed to the last byte", ("session.shred",)),
    Kind("payload.erased", "an entry without its payload, which was destroyed"),
    Kind("access.granted", "a principal was given rights in a scope"),
    Kind("access.revoked", "rights of a principal ended"),
    Kind("access.boundary_set", "what everybody may do in a scope changed"),
    Kind("access.cut_off", "a principal may do nothing any more"),
    Kind("access.restored", "a principal that was cut off may do again what it was granted"),
    Kind("access.used", "a principal did something in a scope that is not its own"),
    Kind("access.denied", "a principal was refused"),
    Kind("run.started", "a script's run began"),
    Kind("run.recorded", "steps of a script's run were recorded"),
    Kind("run.resumed", "a script's run goes on after it was interrupted or failed"),
    Kind("run.finished", "a script's run came to its end"),
    Kind("run.failed", "a script's run ended with an error"),
    Kind("migration.registered", "how values get from one version of a schema to another is known"),
    Kind("migration.started", "stored values are being migrated", ("migration.start",)),
    Kind("migration.resumed", "a migration goes on after it was interrupted or failed"),
    Kind("migration.batch", "a batch of values was migrated"),
    Kind("migration.completed", "a migration came to its end", ("migration.complete",)),
    Kind("migration.failed", "a migration stopped"),
    Kind("migration.rollback_started", "what a migration changed is being put back"),
    Kind("migration.rollback_resumed", "putting back goes on after it was interrupted"),
    Kind("migration.rolled_back", "what a migration changed is as it was before", ("migration.rollback",)),
    Kind("correlation.opened", "a named thread of work began"),
    Kind("store.created", "the store was made"),
    Kind("store.migrated", "the store's tables were brought to a newer format"),
    Kind("clock.jumped", "the wall clock moved by more than an hour against the monotonic one"),
)

GROUPS: dict[str, tuple[str, ...]] = {
    "state.changed": ("state.set", "state.deleted"),
    "state.cleared": ("state.deleted",),
    "state.copied": ("state.set",),
    "state.moved": ("state.set", "state.deleted"),
    "session.end": ("session.completed", "session.failed"),
    "session.ended": ("session.completed", "session.failed"),
}
"""Names for what shows in the journal as other kinds: clearing a scope, for one, deletes its keys one by one."""

ROOMS = frozenset(
    (
        *("state", "session", "artifact", "event", "hook", "run", "agent", "access", "tool", "workflow"),
        *("backup", "migration", "schema", "system", "store", "journal", "performance", "correlation", "clock"),
    )
)
"""First parts that are taken: no custom point begins with one."""

_CUSTOM = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+")


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _spellings(table: tuple[Point, ...] | tuple[Kind, ...]) -> dict[str, str]:
    known = {row.name: row.name for row in table}
    known.update((alias, row.name) for row in table for alias in row.aliases)
    return known


POINT_NAMES = frozenset(point.name for point in POINTS)
KIND_NAMES = frozenset(kind.name for kind in KINDS)
_POINT_OF = {_camel(name): name for name in POINT_NAMES} | _spellings(POINTS)
_KIND_OF = _spellings(KINDS)


def is_custom_point(name: str) -> bool:
    """Whether a canonical point is one of the users' own (it has a dot)."""
    return "." in name


def canonical_point(name: str) -> str:
    """The one name of a point, from any accepted spelling.

    ``before_state_set``, ``BeforeStateSet``, ``BeforeStateWrite`` and ``session:start`` are spellings; a custom point
    (a dot in it, its first part no room) is its own name. Raises InvalidInput, code ``unknown-point``, with the nearest
    names; a kind such as ``state.set`` is refused with the point that fits it.
    """
    if type(name) is not str:
        raise InvalidInput(f"a point is named by a str, not {type(name).__name__}", code="unknown-point")
    known = _POINT_OF.get(name)
    if known is not None:
        return known
    if (
        _CUSTOM.fullmatch(name)
        and len(name) <= limits.EVENT_TYPE_CHARS_MAX
        and name.partition(".")[0].lower() not in ROOMS
    ):
        return name
    raise InvalidInput(
        f"there is no point {name[:100]!r}",
        code="unknown-point",
        hint=_hint(name),
        point=name[:100],
    )


def _hint(name: str) -> str:
    if name.startswith("custom:"):
        return "a custom point is a name with a dot whose first part is no room, like 'pipeline.validate'"
    if name in _KIND_OF or name in GROUPS:
        near = _did_you_mean(_KIND_OF.get(name, name))
        return f"{name!r} is an event type: subscribe to it, or name the point; {near}"
    return _did_you_mean(name[:100])


_VERB_OF = {
    "artifact.stored": "after_artifact_put",
    "event.published": "after_event_publish",
    "state.changed": "after_state_set",
}


def _did_you_mean(name: str) -> str:
    import difflib

    room, _, verb = name.partition(".")
    wanted = _VERB_OF.get(name) or (f"after_{room}_{verb}" if verb else name)
    near = difflib.get_close_matches(wanted, _POINT_OF, n=3, cutoff=0.5)
    canonical = list(dict.fromkeys(_POINT_OF[match] for match in near))
    if not canonical:
        return "points are named before_ or after_, room, verb, like before_state_set; custom points have a dot"
    return "did you mean " + " or ".join(canonical) + "?"


def canonical_event_types(name: str) -> tuple[str, ...]:
    """The kinds that a name of an event type stands for: one, or several (``state.changed``), or the name itself.

    A name that is none of the store's own passes unchanged: users name their events as they like, and patterns pass
    too. ``session:x`` is read as ``session.x`` for every room. Raises InvalidInput (``invalid-event-type``) for what
    is no str, empty, or longer than ``EVENT_TYPE_CHARS_MAX`` characters.
    """
    if type(name) is not str or not name or len(name) > limits.EVENT_TYPE_CHARS_MAX:
        found = repr(name[:40]) if type(name) is str else f"a {type(name).__name__}"
        raise InvalidInput(
            f"an event type is a str of 1 to {limits.EVENT_TYPE_CHARS_MAX} characters, not {found}",
            code="invalid-event-type",
        )
    if not name.isascii() and any("\ud800" <= char <= "\udfff" for char in name):
        raise InvalidInput(f"an event type holds no lone surrogates: {name[:40]!r}", code="invalid-event-type")
    known = _KIND_OF.get(name)
    if known is not None:
        return (known,)
    room, colon, rest = name.partition(":")
    if colon and room in ROOMS:
        return canonical_event_types(f"{room}.{rest}")
    return GROUPS.get(name, (name,))


def rows() -> list[Row]:
    """The whole table for the documents: points, kinds, then names that stand for several kinds."""
    table = [Row("point", p.name, (_camel(p.name), *p.aliases), p.moment) for p in POINTS]
    table += [Row("event", k.name, k.aliases, k.happened) for k in KINDS]
    table += [Row("event", ", ".join(names), (alias,), "these") for alias, names in GROUPS.items()]
    return table
