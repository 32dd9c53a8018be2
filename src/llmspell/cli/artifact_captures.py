"""``llmspell artifact offer | rules | rule | rule-for | captures | unseal``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from llmspell.cli import given, printable
from llmspell.cli.files import write_whole
from llmspell.cli.invocation import running
from llmspell.cli.output import Column
from llmspell.cli.suggest import open_session
from llmspell.errors import InvalidInput

if TYPE_CHECKING:
    from llmspell.artifacts.captures.rule import CaptureRule
    from llmspell.sync.faces import Captures, Store

Whose = Annotated[str | None, Parameter(help="The rules of this session, by name or id; default: of the store.")]
Of = Annotated[str, Parameter(help="The session, by name or id.")]
Source = Annotated[str, Parameter(help="Who it comes from: tool, agent or user.")]
Name = Annotated[str | None, Parameter(help="The name of the tool, the agent or the input.")]
Error = Annotated[bool, Parameter(help="It is an error.")]


def offer(
    file: given.Word, /, *, session: Of, source: Source, name: Name = None,
    mime: Annotated[str | None, Parameter(help="Its MIME type; default: guessed from the file's name.")] = None,
    tags: Annotated[list[str] | None, Parameter(name="--tag", help="A tag; may be given several times.")] = None,
    meta: Annotated[list[str] | None, Parameter(help="A field of the metadata, NAME=JSON; several times.")] = None,
    error: Error = False,
    cause: Annotated[int | None, Parameter(help="The entry that led here.")] = None,
    record: Annotated[bool, Parameter(help="Write an entry also when it is skipped.")] = False,
) -> None:  # fmt: skip
    """Offer a file (- is stdin, a pipe is read to its end) as an output: the rules say if it is kept."""
    if file != given.STDIN and Path(file).is_dir():
        raise InvalidInput(f"{file!r} is a folder; an output is one file", code="invalid-path")
    metadata = given.pairs(meta, "--meta")
    with running.get().changing() as store:
        answer = open_session(store, session).captures.offer(
            given.source(file), source=source, name=name, mime_type=mime, tags=tags or (), metadata=metadata,
            error=error, cause=cause, record=record,
        )  # fmt: skip
    by = f" by rule {answer.rule}" if answer.rule else ""
    if answer.artifact is None:
        told = f"skipped{by}: {answer.reason}" + (f" ({answer.detail})" if answer.detail else "")
    else:
        info = answer.artifact
        told = f"captured{by} as {info.name} version {info.version}: {printable.size(info.size)}, {info.id}"
    running.get().out.done(
        answer.to_dict(), told, bare=answer.reason if answer.artifact is None else answer.artifact.id
    )


def rules(
    *, session: Whose = None,
    inherited: Annotated[bool, Parameter(help="With those of the store that hold for the session.")] = False,
    replace: Annotated[
        given.Word | None, Parameter(name="--set", help="Set all of them: a JSON list, or @FILE; - for stdin, [] none.")
    ] = None,
) -> None:  # fmt: skip
    """List the capture rules in the order in which they are asked, or set them all."""
    run = running.get()
    if inherited and (replace is not None or session is None):
        raise InvalidInput("--inherited lists the rules of a session with those of the store", code="usage")
    if replace is None:
        with run.reading() as store:
            found = _room(store, session).rules(inherited=inherited)
    else:
        wanted = _json(replace)
        with run.changing(create=session is None) as store:
            found = _room(store, session).set_rules(wanted)
    _print(found)


def rule(
    name: Annotated[str, Parameter(help="Its name.")],
    fields: Annotated[given.Word | None, Parameter(help="Its fields as JSON, or @FILE; - for stdin.")] = None, /, *,
    session: Whose = None,
    before: Annotated[str | None, Parameter(help="The rule that comes next; default: it is the last.")] = None,
    delete: Annotated[bool, Parameter(help="Take the rule away.")] = False,
) -> None:  # fmt: skip
    """Add a capture rule, change the one of that name, or take it away."""
    if (fields is None) != delete or (delete and before is not None):
        raise InvalidInput("give the rule's fields as JSON, or --delete", code="invalid-capture-rule")
    wanted = None if fields is None else _json(fields)
    if not delete and not isinstance(wanted, dict):
        raise InvalidInput("a rule's fields are a JSON object", code="invalid-capture-rule")
    if wanted is not None and wanted.get("name", name) != name:
        raise InvalidInput("the fields give the rule another name", code="invalid-capture-rule")
    with running.get().changing(create=session is None) as store:
        room = _room(store, session)
        if wanted is None:
            room.remove_rule(name)
        else:
            room.set_rule({**wanted, "name": name}, before=before)
    told = f"{'took away' if delete else 'set'} rule {name}"
    running.get().out.done({"name": name, "fields": wanted}, told, bare=name)


def rule_for(
    *, source: Source, session: Whose = None, name: Name = None,
    mime: Annotated[str, Parameter(help="Its MIME type.")] = "application/octet-stream",
    error: Error = False,
) -> None:  # fmt: skip
    """Show the rule that would decide on an output."""
    with running.get().reading() as store:
        found = _room(store, session).rule_for(source=source, name=name, mime_type=mime, error=error)
    fields = {} if found is None else found.to_dict()
    running.get().out.fields(
        {"rule": fields or None},
        [(key.replace("_", " "), value) for key, value in fields.items()] or [("rule", "none: it would be skipped")],
    )


def captures(*, session: Of) -> None:
    """List what each rule captured in a session, and skipped where that is recorded."""
    with running.get().reading() as store:
        found = open_session(store, session).captures.counts()
    columns = (
        Column("rule", lambda item: item["rule"] or "(none)"),
        Column("of", lambda item: item["owner"] or ""),
        Column("captured", lambda item: item["captured"], right=True),
        Column("size", lambda item: printable.size(item["bytes"]), right=True),
        Column("skipped", lambda item: item["skipped"], right=True),
    )
    items = [one.to_dict() for one in found]
    running.get().out.items(items, columns, next_cursor=None, nothing="nothing was captured yet")


def unseal(
    name: Annotated[str, Parameter(help="The artifact, by name or id.")], /, *,
    session: Annotated[str | None, Parameter(help="Its session, by name or id; an artifact's id needs none.")] = None,
    version: Annotated[str | None, Parameter(help="A number, latest, or a label; default: latest.")] = None,
    output: Annotated[
        given.Word, Parameter(name=("--output", "-o"), help="The file to write; - is stdout.")
    ] = given.STDIN,
) -> None:  # fmt: skip
    """Give the content of an artifact that was sealed when it was captured."""
    out = running.get().out
    if out.json and output == given.STDIN:
        raise InvalidInput(
            "--json and the bare content cannot share stdout", code="usage", hint="write it with -o FILE"
        )
    with running.get().reading() as store:
        content = _room(store, session).unseal(name, version=given.version(version))
    if output == given.STDIN:
        out.raw([content])
        return
    write_whole(Path(output), iter([content]))
    out.done({"name": name, "path": output, "size": len(content)}, f"wrote {output} ({printable.size(len(content))})")


def _room(store: Store, session: str | None) -> Captures:
    return store.captures if session is None else open_session(store, session).captures


def _json(text: str) -> Any:
    if text.startswith("@"):
        text = _read(text[1:])
    found, remark = given.value(text)
    if remark is not None or isinstance(found, str):
        raise InvalidInput(f"this is no JSON: {text:.80}", code="invalid-capture-rule")
    return found


def _read(file: str) -> str:
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInput(f"cannot read {file}: {exc}", code="invalid-path") from None


def _print(rules: list[CaptureRule]) -> None:
    columns = (
        Column("rule", lambda item: item["name"]),
        Column("does", lambda item: item.get("action", "capture")),
        Column("from", lambda item: ", ".join(item.get("sources", ("any",)))),
        Column("names", lambda item: ", ".join(item.get("names", ("*",)))),
        Column("types", lambda item: ", ".join(item.get("mime_types", ("*",)))),
        Column("sample", lambda item: f"{item.get('sample', 1):.4g}", right=True),
        Column("secrets", lambda item: item.get("privacy", "redact")),
    )
    running.get().out.items([one.to_dict() for one in rules], columns, next_cursor=None, nothing="no capture rules")


COMMANDS: dict[str, Any] = {
    "offer": offer, "rules": rules, "rule": rule, "rule-for": rule_for, "captures": captures, "unseal": unseal,
}  # fmt: skip
"""The commands of ``llmspell artifact`` that are here."""
