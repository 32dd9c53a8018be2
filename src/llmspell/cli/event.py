"""``llmspell event``: publish a message, follow what happens."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from llmspell.cli import given, printable
from llmspell.cli.invocation import running
from llmspell.cli.suggest import check_positive, open_session
from llmspell.cli.timeline import summary

if TYPE_CHECKING:
    from llmspell.events.event import Event

app = App(name="event", help="Events: messages of agents and scripts, and everything that happens in the store.")


@app.command(name="publish")
def publish(
    type: str, data: given.Word = "null", /, *,
    session: Annotated[str | None, Parameter(help="The session it belongs to, by name or id.")] = None,
    tags: Annotated[list[str] | None, Parameter(name="--tag", help="A tag; may be given several times.")] = None,
    source: Annotated[str | None, Parameter(help="Who says it.")] = None,
    target: Annotated[str | None, Parameter(help="Who it is for.")] = None,
    priority: Annotated[int, Parameter(help="A number that its readers give a meaning to.")] = 0,
    ttl: Annotated[float | None, Parameter(help="Seconds after which it is not delivered any more.")] = None,
    text: Annotated[bool, Parameter(help="Take the data as text, even if it is JSON.")] = False,
) -> None:  # fmt: skip
    """Publish an event of a dotted TYPE; DATA is JSON, plain text when it is not, - reads stdin."""
    content, remark = given.value(data, as_text=text)
    with running.get().changing(create=session is None) as store:
        room = store.events if session is None else open_session(store, session).events
        seq = room.publish(
            type, content, tags=tags or (), source=source, target=target, priority=priority, ttl_s=ttl
        )  # fmt: skip
    if remark is not None:
        running.get().out.note(remark)
    running.get().out.done({"seq": seq, "type": type, "data": content}, f"published {type} as entry {seq}", bare=seq)


@app.command(name="tail")
def tail(
    pattern: Annotated[str, Parameter(help="Which types: *, session.*, {a,b}.**; default: all.")] = "**", /, *,
    session: Annotated[str | None, Parameter(help="Only what happens in this session, by name or id.")] = None,
    from_: Annotated[str | None, Parameter(name="--from", help="start, an entry's number, or a position.")] = None,
    limit: Annotated[int | None, Parameter(help="Stop after so many events.")] = None,
    timeout: Annotated[float | None, Parameter(help="Stop when none came for so many seconds.")] = None,
) -> None:  # fmt: skip
    """Follow events as they happen; with --from, those of the past first. --json prints one object for each line."""
    check_positive(limit, "--limit")
    behind: Any = int(from_) if from_ is not None and from_.isascii() and from_.isdigit() else from_
    out, seen = running.get().out, 0
    with running.get().reading() as store:
        room = store.events if session is None else open_session(store, session).events
        with closing(room.subscribe(pattern, from_position=behind, overflow="block", buffer=1000)) as events:
            while limit is None or seen < limit:
                event = events.receive(timeout_s=timeout)
                if event is None:
                    return
                seen += 1
                if out.json:
                    out.json_line(_fields(event))
                else:
                    out.write(_line(event))
                    out.stdout.flush()


def _fields(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq, "id": event.id, "type": event.type, "time": event.time.isoformat(), "data": event.data,
        "session": event.session, "correlation_id": event.correlation_id, "cause": event.cause, "actor": event.actor,
        "tags": list(event.tags), "source": event.source, "target": event.target, "priority": event.priority,
        "system": event.system, "position": str(event.position),
    }  # fmt: skip


def _line(event: Event) -> str:
    about = summary(event.type, event.data, event.session) if event.system else printable.short(event.data)
    cause = f"  <- #{event.cause}" if event.cause else ""
    return printable.line(f"{printable.moment_ns(event.time_ns)}  #{event.seq}  {event.type}  {about}{cause}")
