"""``llmspell artifact``: named, versioned content of a session."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from llmspell.cli import (
    artifact_captures,
    artifact_care,
    artifact_changes,
    artifact_links,
    artifact_sharing,
    given,
    printable,
)
from llmspell.cli.asking import confirmed
from llmspell.cli.files import write_whole
from llmspell.cli.invocation import running
from llmspell.cli.output import Column
from llmspell.cli.suggest import NAMES_MAX, artifacts_with, open_session, suggesting
from llmspell.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from llmspell.artifacts.info import ArtifactInfo
    from llmspell.sync.faces import Artifacts, Content

app = App(name="artifact", help="Artifacts: named, versioned content of a session, checked whenever it is read.")

Whose = Annotated[str | None, Parameter(help="The session it belongs to, by name or id; an artifact's id needs none.")]
Of = Annotated[str, Parameter(help="The session, by name or id.")]
Named = Annotated[str, Parameter(help="The artifact, by name or id.")]
Version = Annotated[str | None, Parameter(help="A number, latest, or a label; default: latest.")]


@app.command(name="list")
def list_(
    *, session: Of,
    all_versions: Annotated[bool, Parameter(help="Every version, not only the latest.")] = False,
    limit: Annotated[int, Parameter(help="Artifacts of one page.")] = 100,
    cursor: Annotated[str | None, Parameter(help="Go on after the page that gave this.")] = None,
) -> None:  # fmt: skip
    """List the artifacts of a session by name."""
    with running.get().reading() as store:
        artifacts = open_session(store, session).artifacts
        page = artifacts.list(all_versions=all_versions, limit=limit, cursor=cursor)
    _print(page.items, page.next_cursor, f"session {session} has no artifacts")


@app.command(name="versions")
def versions(name: Named, /, *, session: Of) -> None:
    """List the versions of a name, oldest first."""
    with running.get().reading() as store:
        artifacts = open_session(store, session).artifacts
        with _suggesting(artifacts, name):
            found = artifacts.versions(name)
    _print(found, None, "no versions")


@app.command(name="show")
def show(name: Named, /, *, session: Whose = None, version: Version = None) -> None:
    """Show everything about an artifact but its content."""
    with running.get().reading() as store:
        artifacts = artifacts_with(store, name, session)
        with _suggesting(artifacts, name):
            info = artifacts.info(name, version=given.version(version))
    running.get().out.fields(
        info.to_dict(), [(key.replace("_", " "), _field(key, value)) for key, value in info.to_dict().items()]
    )


@app.command(name="put")
def put(
    file: given.Word, /, *, session: Of,
    name: Annotated[str | None, Parameter(help="Its name; default: the file's.")] = None,
    type: Annotated[str, Parameter(help="agent_output, tool_result, code, data, … or a word of your own.")] = "data",
    tags: Annotated[list[str] | None, Parameter(name="--tag", help="A tag; may be given several times.")] = None,
    meta: Annotated[list[str] | None, Parameter(help="A field of the metadata, NAME=JSON; several times.")] = None,
    description: Annotated[str, Parameter(help="What it is.")] = "",
    mime: Annotated[str | None, Parameter(help="Its MIME type; default: guessed from the name.")] = None,
    derived_from: Annotated[list[str] | None, Parameter(help="Id of an artifact behind it; several times.")] = None,
) -> None:  # fmt: skip
    """Store a file (- is stdin, a pipe is read to its end) as the next version of its name."""
    if name is None and given.nameless(file):
        raise InvalidInput(f"content from {file} has no name: give it one with --name", code="usage")
    if file != given.STDIN and Path(file).is_dir():
        raise InvalidInput(f"{file!r} is a folder; an artifact is one file", code="invalid-path")
    metadata, out = given.pairs(meta, "--meta"), running.get().out
    label = name if name is not None else Path(file).name
    with running.get().changing() as store:
        artifacts = open_session(store, session).artifacts
        with out.progress(f"storing {printable.line(label)}", _length(file), in_bytes=True) as advance:
            info = artifacts.put(
                label, given.source(file), type=type, tags=tags or (), metadata=metadata, description=description,
                mime_type=mime, derived_from=derived_from or (),
                progress=advance and (lambda done: advance(done, None)),
            )  # fmt: skip
    told = f"stored {info.name} version {info.version}: {printable.size(info.size)}, {info.id}"
    out.done(info.to_dict(), told, bare=info.id)


@app.command(name="get")
def get(
    name: Named, /, *, session: Whose = None, version: Version = None,
    output: Annotated[
        given.Word | None, Parameter(name=("--output", "-o"), help="The file to write; - is stdout, whatever it holds.")
    ] = None,
) -> None:  # fmt: skip
    """Print an artifact's content, or write it to a file (whole, or not at all)."""
    out = running.get().out
    if out.json and output == given.STDIN:
        raise InvalidInput(
            "--json and the bare content cannot share stdout", code="usage", hint="leave one of them out"
        )
    with running.get().reading() as store:
        artifacts = artifacts_with(store, name, session)
        with _suggesting(artifacts, name):
            content = artifacts.get(name, version=given.version(version))
        if output is not None and output != given.STDIN:
            write_whole(Path(output), content.stream())
            told = f"wrote {content.info.name} version {content.info.version} to {output}"
            out.done({**content.info.to_dict(), "path": output}, f"{told} ({printable.size(content.info.size)})")
        elif out.json:
            out.one({**content.info.to_dict(), **_inline(content)}, "")
        else:
            _print_content(content, asked=output is not None)


@app.command(name="delete")
def delete(
    name: Named, /, *, session: Whose = None,
    version: Annotated[str | None, Parameter(help="Only this version; default: every version of the name.")] = None,
    hard: artifact_care.Hard = False,
    yes: Annotated[bool, Parameter(help="Do not ask.")] = False,
    dry_run: Annotated[bool, Parameter(help="Say what would be deleted, and delete nothing.")] = False,
) -> None:  # fmt: skip
    """Delete every version of a name, or one version; `artifact undelete` brings it back."""
    run = running.get()
    with run.reading() if dry_run else run.changing() as store:
        artifacts = artifacts_with(store, name, session)
        with _suggesting(artifacts, name):
            infos = _doomed(artifacts, name, given.version(version), hard=hard)
        size = sum(info.size for info in infos)
        plan = {
            "name": infos[0].name, "session": infos[0].session, "bytes": size,
            "versions": [{"id": info.id, "version": info.version} for info in infos], "hard": hard,
        }  # fmt: skip
        which = f"version {infos[0].version}" if len(infos) == 1 else printable.count(len(infos), "version")
        told = f"{infos[0].name}: {which} ({printable.size(size)})" + (" for good" if hard else "")
        if not confirmed(run.out, plan, told, yes=yes, dry_run=dry_run):
            return
        count = artifacts.delete(name, version=given.version(version), hard=hard)
    run.out.done({**plan, "deleted": count}, f"deleted {told}")


for _word, _command in (
    *artifact_care.COMMANDS.items(),
    *artifact_changes.COMMANDS.items(),
    *artifact_links.COMMANDS.items(),
    *artifact_sharing.COMMANDS.items(),
    *artifact_captures.COMMANDS.items(),
):
    app.command(_command, name=_word)


def _doomed(artifacts: Artifacts, name: str, version: int | str | None, *, hard: bool) -> list[ArtifactInfo]:
    """What a delete will take; with ``hard`` also what is deleted already."""
    single = version is not None or _is_id(name)
    found = [
        one for one in artifacts.deleted() if hard and name in {one.id, one.name} and version in {None, one.version}
    ]
    try:
        found += [artifacts.info(name, version=version)] if single else artifacts.versions(name)
    except NotFound:
        if not found:
            raise
    return found


def _is_id(name: str) -> bool:
    from llmspell.artifacts.rules import is_id

    return is_id(name)


def _suggesting(artifacts: Artifacts, name: str) -> Any:
    hint = "`llmspell artifact list --session NAME` shows what there is"
    return suggesting(name, lambda: [] if _is_id(name) else [one.name for one in artifacts.list(limit=NAMES_MAX)], hint)


def _print(infos: list[ArtifactInfo], next_cursor: str | None, nothing: str) -> None:
    columns = (
        Column("name", lambda item: item["name"]),
        Column("version", lambda item: item["version"], right=True),
        Column("size", lambda item: printable.size(item["size"]), right=True),
        Column("type", lambda item: item["type"]),
        Column("created", lambda item: printable.moment(item["created_at"])),
        Column("tags", lambda item: ", ".join(item["tags"])),
        Column("id", lambda item: item["id"]),
    )
    running.get().out.items([info.to_dict() for info in infos], columns, next_cursor=next_cursor, nothing=nothing)


def _field(name: str, value: Any) -> object:
    if name.endswith("_at"):
        return printable.moment(value)
    if name in {"size", "stored_size"}:
        return f"{printable.size(value)} ({value:,})" if value >= 1000 else printable.size(value)
    if isinstance(value, list):
        return ", ".join(value)
    return printable.json_text(value) if isinstance(value, dict) and value else value


def _print_content(content: Content, *, asked: bool) -> None:
    out = running.get().out
    if asked or not out.on_terminal:
        out.raw(content.stream())
        return
    data = content.read()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or not printable.is_safe(text.replace("\r\n", "\n")):
        raise InvalidInput(
            f"{content.info.name} is not plain text, and a terminal could act on it", code="binary-content",
            hint="write it to a file with -o FILE, or print it all the same with -o -",
        )  # fmt: skip
    out.raw([data] if data.endswith(b"\n") else [data, b"\n"])


def _inline(content: Content) -> dict[str, str]:
    data = content.read()
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _length(file: str) -> int | None:
    path = Path(file)
    return path.stat().st_size if file != given.STDIN and path.is_file() else None
