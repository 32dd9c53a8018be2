"""``llmspell schema``: schemas of values, and which keys are held against them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from llmspell.cli import given, printable
from llmspell.cli.exits import FINDINGS, Finished
from llmspell.cli.invocation import running
from llmspell.cli.output import Column
from llmspell.errors import InvalidInput
from llmspell.model.scope import Scope

app = App(name="schema", help="Schemas of state values: versions, what changed between them, and what is bound.")

VersionOption = Annotated[str | None, Parameter(help="Which version; the latest by default.")]
ScopeOption = Annotated[str | None, Parameter(help="Only keys of this scope, like agent:researcher; default: all.")]
PrefixOption = Annotated[str, Parameter(help="Only keys that begin so.")]


@app.command(name="list")
def list_(name: Annotated[str | None, Parameter(help="Only the versions of this one.")] = None, /) -> None:
    """List the schemas and their versions."""
    with running.get().reading() as store:
        items = [one.to_dict() for one in store.schemas.list() if name in (None, one.name)]
    columns = (
        Column("name", lambda item: item["name"]),
        Column("version", lambda item: item["version"]),
        Column("compatibility", lambda item: item["compatibility"]),
        Column("fields", lambda item: len(item["value"].get("fields", ())), right=True),
        Column("description", lambda item: printable.short(item.get("description", ""))),
    )
    running.get().out.items(items, columns, next_cursor=None, nothing="no schemas are registered")


@app.command(name="show")
def show(name: str, version: str | None = None, /) -> None:
    """Print a schema as JSON, the latest version unless one is named."""
    with running.get().reading() as store:
        schema = store.schemas.get(name, version)
    out = running.get().out
    if out.json:
        out.one({**schema.to_dict(), "hash": schema.hash}, "")
    else:
        out.write(printable.json_text(schema.to_dict(), indent=2))


@app.command(name="register")
def register(file: Path, /) -> None:
    """Register the schema, or the schemas, in FILE (.json or .toml)."""
    from llmspell.registry.folder import read_file

    schemas = read_file(file)
    with running.get().changing(create=True) as store:
        made = store.schemas.register_all(schemas)
    _registered(made)


@app.command(name="load")
def load(folder: Path, /) -> None:
    """Register the schemas in all .json and .toml files of FOLDER: all, or none."""
    with running.get().changing(create=True) as store:
        made = store.schemas.load_folder(folder)
    _registered(made)


@app.command(name="compare")
def compare(
    name: str, old: str, new: str, /, *,
    level: Annotated[
        str | None, Parameter(help="End with 3 unless this level is kept: backward, forward, full.")
    ] = None,
) -> None:  # fmt: skip
    """Show what changed between two versions, for whom it breaks, and why."""
    with running.get().reading() as store:
        found = store.schemas.compare(name, old, new)
    out = running.get().out
    if out.json:
        out.one(found.to_dict(), "")
    else:
        columns = (
            Column("path", lambda item: item["path"]),
            Column("what", lambda item: item["what"]),
            Column("breaks", lambda item: ", ".join(item["breaking_for"]) or "nobody"),
            Column("risk", lambda item: item["risk"]),
            Column("why", lambda item: item["explanation"]),
        )
        items = [change.to_dict() for change in found.changes]
        out.items(items, columns, next_cursor=None, nothing="nothing changed")
    if level is not None and not found.fits(level):
        raise Finished(FINDINGS)


@app.command(name="bind")
def bind(
    name: str, version: str | None = None, /, *, scope: ScopeOption = None, prefix: PrefixOption = "",
) -> None:  # fmt: skip
    """Hold values of keys against a schema from now on."""
    with running.get().changing() as store:
        bound = store.schemas.bind(name, version, scope=_scope(scope), prefix=prefix)
    running.get().out.done(bound.to_dict(), f"{_keys(bound.to_dict())} hold {bound.name} {bound.version}")


@app.command(name="unbind")
def unbind(*, scope: ScopeOption = None, prefix: PrefixOption = "") -> None:
    """End the binding of exactly these keys."""
    with running.get().changing() as store:
        ended = store.schemas.unbind(scope=_scope(scope), prefix=prefix)
    told = {"scope": scope, "prefix": prefix, "ended": ended}
    running.get().out.done(told, f"{_keys(told)} are free" if ended else "nothing was bound there")


@app.command(name="bindings")
def bindings() -> None:
    """List what is bound."""
    with running.get().reading() as store:
        items = [one.to_dict() for one in store.schemas.bindings()]
    columns = (
        Column("keys", _keys),
        Column("schema", lambda item: item["name"]),
        Column("version", lambda item: item["version"]),
        Column("entry", lambda item: f"#{item['since_seq']}", right=True),
    )
    running.get().out.items(items, columns, next_cursor=None, nothing="nothing is bound")


@app.command(name="check")
def check(
    name: str, value: given.Word, /, *, version: VersionOption = None,
    text: Annotated[bool, Parameter(help="Take the value as text, even if it is JSON.")] = False,
) -> None:  # fmt: skip
    """Hold a value (JSON, or - for stdin) against a schema. Exit status 3 when it does not meet it."""
    content, _ = given.value(value, as_text=text)
    with running.get().reading() as store:
        problems = store.schemas.check(content, name, version)
    items = [{"path": one.path, "code": one.code, "message": one.message} for one in problems]
    columns = (
        Column("path", lambda item: item["path"]),
        Column("code", lambda item: item["code"]),
        Column("problem", lambda item: item["message"]),
    )
    running.get().out.items(items, columns, next_cursor=None, nothing="it meets the schema")
    if problems:
        raise Finished(FINDINGS)


def _registered(made: list[Any]) -> None:
    items = [{"name": one.name, "version": str(one.version), "hash": one.hash} for one in made]
    columns = (Column("name", lambda item: item["name"]), Column("version", lambda item: item["version"]))
    running.get().out.items(items, columns, next_cursor=None, nothing="no schemas were found")


def _scope(text: str | None) -> Scope | None:
    if text == "":
        raise InvalidInput("a scope is like global, or agent:researcher", code="usage")
    return None if text is None else Scope.parse(text)


def _keys(item: dict[str, Any]) -> str:
    prefix = item["prefix"]
    return f"{prefix or ''}* of {item['scope'] or 'every scope'}"
