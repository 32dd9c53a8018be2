"""``llmspell timeline``: the journal of a session, or of the whole store, as a story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from llmspell.cli import given, printable
from llmspell.cli.invocation import running
from llmspell.cli.suggest import session_id
from llmspell.errors import InvalidInput, NotFound
from llmspell.model.clock import SystemClock

if TYPE_CHECKING:
    from llmspell.model.entry import Entry
    from llmspell.model.page import Page
    from llmspell.sync.faces import Store


def timeline(
    session: Annotated[str | None, Parameter(help="The session, by name or id; default: all.")] = None, /, *,
    kind: Annotated[list[str] | None, Parameter(help="Only this kind, like state.set; several times.")] = None,
    since: Annotated[str | None, Parameter(help="From this time on: RFC 3339, or 90s, 5m, 2h, 1d ago.")] = None,
    until: Annotated[str | None, Parameter(help="Up to this time.")] = None,
    limit: Annotated[int, Parameter(help="Entries of one page.")] = 1000,
    cursor: Annotated[str | None, Parameter(help="Go on after the page that gave this.")] = None,
    format: Annotated[Literal["text", "json"], Parameter(help="json is the same as --json.")] = "text",
) -> None:  # fmt: skip
    """Tell what happened, in order, one line for each entry.

    A line has the entry's number, the time since the first one shown, its kind, what it was about, and the entry that
    led to it.
    """
    out, clock = running.get().out, SystemClock()
    out.json = out.json or format == "json"
    with running.get().reading() as store:
        page = _page(
            store, session, kinds=kind or (), since=given.time(since, clock), until=given.time(until, clock),
            limit=limit, cursor=cursor,
        )  # fmt: skip
    if out.json:
        out.items([entry.to_dict() for entry in page], (), next_cursor=page.next_cursor, nothing="")
        return
    _tell(page.items, whole_store=session is None)
    if not page.items:
        out.note("nothing happened that fits")
    if page.next_cursor is not None:
        out.note(f"more: --cursor {page.next_cursor}")


def _page(store: Store, session: str | None, **filters: Any) -> Page[Entry]:
    if session is None:
        return store.timeline(**filters)
    try:
        return store.timeline(session=session_id(store, session), **filters)
    except NotFound as missing:
        # A deleted session is in the journal all the same.
        try:
            page = store.timeline(session=session, **filters)
        except InvalidInput as exc:
            if exc.code != "invalid-id":
                raise
            raise missing from None
        if not page.items and filters["cursor"] is None:
            raise
        return page


def _tell(entries: list[Entry], *, whole_store: bool) -> None:
    if not entries:
        return
    out, start = running.get().out, entries[0].at
    out.note(f"from {printable.moment_ns(start)} UTC")
    digits, kinds = len(str(entries[-1].seq)), max(len(entry.kind) for entry in entries)
    for entry in entries:
        fields = entry.to_dict()
        cause = f"  <- #{entry.cause}" if entry.cause else ""
        where = f"  [{fields['session']}]" if whole_store and fields["session"] else ""
        after = f"+{_since(entry.at - start)}"
        about = printable.line(summary(entry.kind, fields["data"], fields["session"]))
        out.write(f"#{entry.seq:<{digits}}  {after:>11}  {entry.kind:<{kinds}}  {about}{cause}{where}".rstrip())


def summary(kind: str, data: Any, session: str | None = None) -> str:
    """What an entry (of this session) is about, in a few words."""
    if not isinstance(data, dict):
        return "(erased)" if data is None else printable.short(data)
    room, _, verb = kind.partition(".")
    if room == "state":
        value = f" = {printable.short(data.get('value'))}" if verb == "set" else ""
        whose = "" if data["scope"] == f"session:{session}" else f", {data['scope']}"
        return f"{data['key']}{value} (v{data['version']}{whose})"
    if kind == "artifact.stored":
        return f"{data['name']} v{data['version']} ({printable.size(data['size'])}, {data['mime_type']})"
    if room == "artifact" and "name" in data:
        label = f" is {data['label']}" if "label" in data else ""
        return f"{data['name']} v{data['version']}{label}"
    if kind == "event.published":
        return f"{data['type']} {printable.short(data['data'])}"
    if room == "run":
        return _of_run(verb, data)
    if room == "agent" and "agent_id" in data:
        return _of_agent(verb, data)
    if "was" in data and "now" in data:
        reason = f": {data['reason']}" if data.get("reason") else ""
        return f"{data['was']} -> {data['now']}{reason}"
    named = next((data[name] for name in ("label", "name") if isinstance(data.get(name), str)), None)
    return named if named is not None else printable.short({key: one for key, one in data.items() if key != "id"})


def _of_run(verb: str, data: dict[str, Any]) -> str:
    if verb == "recorded":
        names = [item.get("name", item.get("item", "")) for item in data.get("items", ()) if isinstance(item, dict)]
        return ", ".join(dict.fromkeys(map(str, names)))[:100]
    attempt = f" (attempt {data['attempt']})" if data.get("attempt", 1) != 1 else ""
    if verb == "finished" and data.get("value") is not None:
        sealed = " (sealed: the run had a secret at hand)" if data.get("sealed") else ""
        return printable.short(data["value"]) + sealed + attempt
    return str(data.get("reason") or data.get("name") or "") + attempt


def _of_agent(verb: str, data: dict[str, Any]) -> str:
    whose = f"{data['agent_id']} (v{data['version']})"
    if "message" in data:
        message = data["message"]
        return f"{whose} #{data['number']} {message['role']}: {printable.short(message['content'])}"
    if verb == "tool_used":
        return f"{whose} {data['tool']} {data['ms']:g} ms{'' if data['ok'] else ', failed'}"
    return f"{whose} {', '.join(data.get('fields', {}))}".rstrip()


def _since(ns: int) -> str:
    seconds = ns / 1e9
    if seconds < 60:
        return f"{seconds:.3f}s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours // 24}d{hours % 24:02}h{minutes:02}m" if hours >= 24 else f"{hours}h{minutes:02}m{seconds:02}s"
