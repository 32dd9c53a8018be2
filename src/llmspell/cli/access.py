"""``llmspell access``: who may do what, and the audit of it. The command line itself acts as the owner."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from llmspell.cli import printable
from llmspell.cli.asking import confirmed
from llmspell.cli.invocation import running
from llmspell.cli.output import Column
from llmspell.errors import InvalidInput
from llmspell.model.page import check_limit

app = App(name="access", help="Who may do what in which scope: grants, boundaries, cut-offs, and the audit.")

PrincipalOption = Annotated[str | None, Parameter(help="Only what is about this principal, like agent:researcher.")]
ScopeOption = Annotated[str | None, Parameter(help="Only what is about this scope.")]
YesOption = Annotated[bool, Parameter(help="Do not ask.")]
DryRunOption = Annotated[bool, Parameter(help="Say what would end, and end nothing.")]
_RULES = ("strict", "read-only")


@app.command(name="grant")
def grant(
    principal: str, scope: str, rights: Annotated[list[str], Parameter(help="read, write, delete, list.")], /, *,
    expires_in: Annotated[float | None, Parameter(help="Seconds after which it ends by itself.")] = None,
    children: Annotated[bool, Parameter(help="In the scopes directly below, too.")] = False,
) -> None:  # fmt: skip
    """Let PRINCIPAL do what RIGHTS name in SCOPE."""
    with running.get().changing(create=True) as store:
        seq = store.access.grant(principal, scope, rights, expires_in_s=expires_in, children=children)
    told = {
        "seq": seq, "principal": principal, "scope": scope, "rights": rights, "children": children,
        "expires_in_s": expires_in,
    }  # fmt: skip
    running.get().out.done(told, f"{principal} may {', '.join(rights)} in {scope}  (entry {seq})", bare=seq)


@app.command(name="revoke")
def revoke(
    principal: str, scope: str,
    rights: Annotated[list[str] | None, Parameter(help="Which; default: all.")] = None, /, *,
    yes: YesOption = False, dry_run: DryRunOption = False,
) -> None:  # fmt: skip
    """End rights of PRINCIPAL in SCOPE, and those that it passed on."""
    run, chosen = running.get(), rights or None
    with run.changing() as store:  # A dry run does it, and undoes it: only so is counted what ends with it.
        if dry_run or not yes:
            ending = store.access.revoke(principal, scope, chosen, dry_run=True)
            plan = {"principal": principal, "scope": scope, "rights": rights, "ended": ending}
            sentence = f"{ending} right(s), of {principal} in {scope} and what it passed on"
            if not confirmed(run.out, plan, sentence, yes=yes or not ending, dry_run=dry_run, verb=("end", "ended")):
                return
        ended = store.access.revoke(principal, scope, chosen)
    told = {"principal": principal, "scope": scope, "rights": rights, "ended": ended}
    running.get().out.done(told, f"{ended} right(s) ended" if ended else "it had no such right", bare=ended)


@app.command(name="list")
def list_(
    *, principal: PrincipalOption = None, scope: ScopeOption = None,
    limit: Annotated[int, Parameter(help="Grants of one page.")] = 100,
    cursor: Annotated[str | None, Parameter(help="Go on after the page that gave this.")] = None,
) -> None:  # fmt: skip
    """List the grants that hold now, newest first."""
    check_limit(limit)
    with running.get().reading() as store:
        page = store.access.grants(principal=principal, scope=scope, limit=limit, cursor=cursor)
    columns = (
        Column("principal", lambda item: item["principal"]),
        Column("scope", lambda item: item["scope"] + (" and below" if item["children"] else "")),
        Column("rights", lambda item: ", ".join(item["rights"])),
        Column("granted by", lambda item: item["granted_by"]),
        Column("until", lambda item: printable.moment(item["expires_at"]) if item["expires_at"] else "revoked"),
        Column("entry", lambda item: f"#{item['seq']}", right=True),
    )
    items = [one.to_dict() for one in page]
    running.get().out.items(items, columns, next_cursor=page.next_cursor, nothing="no grants")


@app.command(name="audit")
def audit(
    *, principal: PrincipalOption = None, scope: ScopeOption = None,
    limit: Annotated[int, Parameter(help="Records of one page.")] = 100,
    cursor: Annotated[str | None, Parameter(help="Go on after the page that gave this.")] = None,
) -> None:  # fmt: skip
    """List what was granted, used and denied, newest first."""
    check_limit(limit)
    with running.get().reading() as store:
        page = store.access.audit(principal=principal, scope=scope, limit=limit, cursor=cursor)
    columns = (
        Column("entry", lambda item: f"#{item['seq']}", right=True),
        Column("time", lambda item: printable.moment(item["time"])),
        Column("action", lambda item: item["action"]),
        Column("principal", lambda item: item["principal"]),
        Column("scope", lambda item: item["scope"]),
        Column("rights", lambda item: ", ".join(item["rights"])),
        Column("times", lambda item: item["count"], right=True),
        Column("by", lambda item: item["actor"]),
    )
    items = [one.to_dict() for one in page]
    running.get().out.items(items, columns, next_cursor=page.next_cursor, nothing="nothing was granted or denied yet")


@app.command(name="cut-off")
def cut_off(
    principal: Annotated[str | None, Parameter(help="Who; without it, they are listed.")] = None, /, *,
    passed_on: Annotated[bool, Parameter(help="End all that it granted to others, for good.")] = False,
    yes: YesOption = False, dry_run: DryRunOption = False,
) -> None:  # fmt: skip
    """Refuse everything that PRINCIPAL does, at once."""
    if principal is None:
        if passed_on or yes or dry_run:
            option = "--passed-on" if passed_on else "--yes" if yes else "--dry-run"
            raise InvalidInput(f"{option} is for the principal that is cut off", code="usage")
        with running.get().reading() as store:
            items: list[dict[str, Any]] = [{"principal": one} for one in store.access.cut_offs()]
        columns = (Column("principal", lambda item: item["principal"]),)
        running.get().out.items(items, columns, next_cursor=None, nothing="nobody is cut off")
        return
    run = running.get()
    with run.changing(create=not dry_run) as store:
        if dry_run or not yes:
            changing = store.access.cut_off(principal, passed_on=passed_on, dry_run=True)
            plan = {"principal": principal, "passed_on": passed_on, "changed": changing}
            what = f"{principal}{' and end all that it granted' * passed_on}{' (as it is already)' * (not changing)}"
            if not confirmed(run.out, plan, what, yes=yes, dry_run=dry_run, verb=("cut off", "cut off")):
                return
        changed = store.access.cut_off(principal, passed_on=passed_on)
    sentence = f"{principal} is cut off" if changed else f"{principal} was cut off already"
    running.get().out.done({"principal": principal, "changed": changed}, sentence)


@app.command(name="restore")
def restore(principal: str, /) -> None:
    """Let PRINCIPAL, which was cut off, do again what it was granted."""
    with running.get().changing() as store:
        changed = store.access.restore(principal)
    sentence = f"{principal} is restored" if changed else f"{principal} was not cut off"
    running.get().out.done({"principal": principal, "changed": changed}, sentence)


@app.command(name="boundary")
def boundary(
    scope: Annotated[str | None, Parameter(help="Where; without it, scopes that are not strict are listed.")] = None,
    rule: Annotated[list[str] | None, Parameter(help="strict, read-only, or rights.")] = None, /,
) -> None:  # fmt: skip
    """Say what every principal may do in SCOPE."""
    if scope is None:
        _boundaries()
        return
    if not rule:
        raise InvalidInput("a boundary is strict, read-only, or rights by name", code="usage")
    said: Any = rule[0] if len(rule) == 1 and rule[0] in _RULES else rule
    with running.get().changing(create=True) as store:
        changed = store.access.set_boundary(scope, said)
    told = {"scope": scope, "boundary": said, "changed": changed}
    sentence = f"the boundary of {scope} is {' '.join(rule)}"
    running.get().out.done(told, sentence if changed else f"{sentence} already")


def _boundaries() -> None:
    with running.get().reading() as store:
        found = store.access.boundaries()
    items = [{"scope": scope, "rights": list(rights)} for scope, rights in found.items()]
    columns = (
        Column("scope", lambda item: item["scope"]),
        Column("everybody may", lambda item: ", ".join(item["rights"])),
    )
    running.get().out.items(items, columns, next_cursor=None, nothing="every scope is strict")
