"""``llmspell state``: the keys of a scope."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from llmspell.cli import given, printable
from llmspell.cli.asking import confirmed
from llmspell.cli.invocation import running
from llmspell.cli.output import Column
from llmspell.cli.suggest import NAMES_MAX, open_session, suggesting
from llmspell.errors import Conflict, InvalidInput, NotFound
from llmspell.model.entry import REDACTED
from llmspell.model.page import check_limit
from llmspell.model.scope import Scope
from llmspell.model.values import Written

if TYPE_CHECKING:
    from llmspell.sync.faces import State, Store

app = App(name="state", help="Keys and values, with their versions and history, of a scope.")

ScopeOption = Annotated[str | None, Parameter(help="Whose: global, user:ID, agent:ID, tool:ID, step:WORKFLOW:STEP, …")]
SessionOption = Annotated[str | None, Parameter(help="The session whose state it is, by name or id.")]
AtOption = Annotated[
    given.Word | None, Parameter(help="As it was: an entry's number, a time, -5m, or checkpoint:LABEL.")
]


@app.command(name="get")
def get(
    key: str, /, *, scope: ScopeOption = None, session: SessionOption = None, at: AtOption = None,
    text: Annotated[bool, Parameter(help="Print a text value bare, without JSON quotes.")] = False,
) -> None:  # fmt: skip
    """Print a key's value as JSON. Exit status 13 when it has none."""
    out = running.get().out
    with running.get().reading() as store, _state(store, scope, session) as now:
        state = now if at is None else store.at(at).state_of(now.scope)
        entry = state.entry(key)
        if entry is None:
            with suggesting(key, lambda: state.keys(limit=NAMES_MAX), "`llmspell state list` shows the keys"):
                raise NotFound(f"{state.scope} has no key {key!r}", code="key-not-found")
    if out.json:
        out.one({**entry.to_dict(), "scope": str(state.scope)}, "")
    elif text and isinstance(entry.value, str):
        out.write(printable.block(entry.value) if out.on_terminal else entry.value)
    elif text:
        raise InvalidInput(f"{key!r} holds no text; leave --text out to see it as JSON", code="not-text")
    else:
        out.write(printable.json_text(entry.value, indent=2 if out.on_terminal else None))


@app.command(name="diff")
def diff(
    a: given.Word, b: given.Word = "-0s", /, *, scope: ScopeOption = None, session: SessionOption = None,
    limit: Annotated[int, Parameter(help="Keys of one page.")] = 1000,
    cursor: Annotated[str | None, Parameter(help="Go on after the page that gave this.")] = None,
) -> None:  # fmt: skip
    """List what differs between two moments: an entry's number, a time, -5m, or checkpoint:LABEL. B is now."""
    check_limit(limit)
    with running.get().reading() as store, _state(store, scope, session) as state:
        chosen = None if scope is None and session is None else state.scope
        page = store.diff(a, b, scope=chosen, limit=limit, cursor=cursor)
    columns = (
        Column("change", lambda item: item["change"]),
        Column("scope", lambda item: item["scope"]),
        Column("key", lambda item: item["key"]),
        Column("before", lambda item: printable.short(item["before"]["value"]) if item["before"] else ""),
        Column("after", lambda item: printable.short(item["after"]["value"]) if item["after"] else ""),
    )
    items = [one.to_dict() for one in page]
    running.get().out.items(items, columns, next_cursor=page.next_cursor, nothing="nothing differs")


@app.command(name="set")
def set_(
    key: str, value: given.Word, /, *, scope: ScopeOption = None, session: SessionOption = None,
    text: Annotated[bool, Parameter(help="Take the value as text, even if it is JSON.")] = False,
    if_version: Annotated[int | None, Parameter(help="Only if the key has this version now; 0: has no value.")] = None,
    ttl: Annotated[float | None, Parameter(help="Seconds after which the value is gone.")] = None,
    state_class: Annotated[
        str | None, Parameter(name="--class", help="How it is kept: standard, trusted, sensitive or external.")
    ] = None,
    artifact: Annotated[list[str] | None, Parameter(help="Id of an artifact that this has to do with.")] = None,
) -> None:  # fmt: skip
    """Give a key a value: JSON, or plain text when it is not JSON; - reads it from stdin."""
    out = running.get().out
    content, remark = given.value(value, as_text=text)
    with running.get().changing(create=session is None) as store, _state(store, scope, session) as state:
        version = state.set(
            key, content, if_version=if_version, ttl_s=ttl, state_class=_kept(state_class), artifacts=artifact or ()
        )
        found = state.entry(key)
    if remark is not None:
        out.note(remark)
    if {state_class, found and found.state_class} & {"sensitive", "external"}:
        content = REDACTED  # What is kept may be another value, and is not for the screen.
    told = {"key": key, "scope": str(state.scope), "value": content, "version": version}
    if isinstance(version, Written):
        told["redactions"] = list(version.redactions)
    out.done(told, f"{key} = {printable.short(content)}  (version {version} in {state.scope})", bare=version)


@app.command(name="default-class")
def default_class(
    state_class: Annotated[str | None, Parameter(help="standard, trusted, sensitive or external.")] = None, /, *,
    scope: ScopeOption = None, session: SessionOption = None,
) -> None:  # fmt: skip
    """Show how keys that are new in a scope are kept, or say how from now on."""
    run = running.get()
    opened = run.reading() if state_class is None else run.changing(create=session is None)
    with opened as store, _state(store, scope, session) as state:
        changed = state_class is not None and state.set_default_class(state_class)
        told = {"scope": str(state.scope), "state_class": str(state.default_class()), "changed": changed}
    already = " already" * (state_class is not None and not changed)
    sentence = f"new keys of {told['scope']} are {told['state_class']}{already}"
    run.out.done(told, sentence, bare=told["state_class"])


@app.command(name="list")
def list_(
    *, scope: ScopeOption = None, session: SessionOption = None, at: AtOption = None,
    prefix: Annotated[str, Parameter(help="Only keys that begin so.")] = "",
    values: Annotated[bool, Parameter(help="With their values.")] = False,
    limit: Annotated[int, Parameter(help="Keys of one page.")] = 1000,
    cursor: Annotated[str, Parameter(help="Go on after the page that gave this.")] = "",
) -> None:  # fmt: skip
    """List the keys that have a value, in the order of their characters."""
    check_limit(limit)
    items: list[dict[str, Any]]
    with running.get().reading() as store, _state(store, scope, session) as now:
        state = now if at is None else store.at(at).state_of(now.scope)
        if values:
            pairs = state.items(prefix=prefix, after=cursor, limit=limit + 1)
            items = [{"key": key, "value": value} for key, value in pairs]
        else:
            items = [{"key": key} for key in state.keys(prefix=prefix, after=cursor, limit=limit + 1)]
    columns = [Column("key", lambda item: item["key"])]
    if values:
        columns.append(Column("value", lambda item: printable.short(item["value"], 100)))
    more = items[limit - 1]["key"] if len(items) > limit else None
    running.get().out.items(items[:limit], columns, next_cursor=more, nothing=f"no keys in {state.scope}")


@app.command(name="delete")
def delete(
    key: str, /, *, scope: ScopeOption = None, session: SessionOption = None,
    if_version: Annotated[int | None, Parameter(help="Only if the key has this version now.")] = None,
    yes: Annotated[bool, Parameter(help="Do not ask.")] = False,
    dry_run: Annotated[bool, Parameter(help="Say what would be deleted, and delete nothing.")] = False,
) -> None:  # fmt: skip
    """Delete a key. Its history stays in the journal."""
    run = running.get()
    with run.reading() if dry_run else run.changing() as store, _state(store, scope, session) as state:
        entry = state.entry(key)
        with suggesting(key, lambda: state.keys(limit=NAMES_MAX), "`llmspell state list` shows the keys"):
            if entry is None:
                raise NotFound(f"{state.scope} has no key {key!r}", code="key-not-found")
        plan = {"key": key, "scope": str(state.scope), "version": entry.version}
        told = f"{key} (version {entry.version}) of {state.scope}"
        if if_version not in (None, entry.version):
            raise Conflict(f"{key!r} has version {entry.version}, not {if_version}")
        if not confirmed(run.out, plan, told, yes=yes, dry_run=dry_run):
            return
        deleted = state.delete(key, if_version=if_version)
    run.out.done({**plan, "deleted": deleted}, f"deleted {told}" if deleted else f"{key} was gone already")


@app.command(name="history")
def history(
    key: str, /, *, scope: ScopeOption = None, session: SessionOption = None,
    limit: Annotated[int, Parameter(help="Changes of one page.")] = 100,
    cursor: Annotated[int | None, Parameter(help="Go on after the page that gave this.")] = None,
) -> None:  # fmt: skip
    """List the changes of a key, newest first."""
    check_limit(limit)
    with running.get().reading() as store, _state(store, scope, session) as state:
        changes = state.history(key, limit=limit, before=cursor)
        if not changes and cursor is None:
            with suggesting(key, lambda: state.keys(limit=NAMES_MAX), "`llmspell state list` shows the keys"):
                raise NotFound(f"{state.scope} never had a key {key!r}", code="key-not-found")
    columns = (
        Column("version", lambda item: item["version"], right=True),
        Column("time", lambda item: printable.moment(item["time"])),
        Column("entry", lambda item: f"#{item['seq']}", right=True),
        Column("change", lambda item: item["operation"]),
        Column("value", lambda item: printable.short(item["value"]) if item["operation"] == "set" else ""),
    )
    more = str(changes[-1].seq) if len(changes) == limit else None
    items = [change.to_dict() for change in changes]
    running.get().out.items(items, columns, next_cursor=more, nothing="no older changes")


def _kept(state_class: str | None) -> str | None:
    if state_class == "ephemeral":
        raise InvalidInput("an ephemeral value would be gone when this command ends", code="usage")
    return state_class


@contextmanager
def _state(store: Store, scope: str | None, session: str | None) -> Iterator[State]:
    """The state that the options mean; what is written to a session's is attributed to it."""
    if scope is not None and session is not None:
        raise InvalidInput("--scope and --session are given together", code="usage")
    if session is not None:
        yield open_session(store, session).state
    else:
        yield store.state if scope is None else store.state_of(Scope.parse(scope))
