"""Session, of many and of whole ones: saving all, cleaning up, taking in a bundle, templates.

Scripts write no files, so they cannot export; they read those that their run was granted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.operations.host import Host
from llmspell.operations.operation import Operation
from llmspell.operations.shapes import present, session_table
from llmspell.operations.types import BOOL, INT, NAME, NUMBER, TABLE, TEXTS, Param, options
from llmspell.sessions.retention import RetentionPolicy


async def _import(host: Host, path: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    given = dict(options or {})
    file = host.file(path, "Session.import")
    done = await host.store.sessions.import_(
        file, on_conflict=given.get("on_conflict", "fail"), key=given.get("passphrase"),
        dry_run=given.get("dry_run", False),
    )  # fmt: skip
    return done.to_dict()


async def _save_all(host: Host) -> list[dict[str, Any]]:
    return [session_table(info) for info in await host.store.sessions.save_all_active()]


async def _restore_recent(host: Host, count: int) -> list[dict[str, Any]]:
    return [session_table(info) for info in await host.store.sessions.restore_recent(count)]


async def _cleanup(host: Host, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    bounds = dict(options or {})
    dry_run = bounds.pop("dry_run", False)
    policy = RetentionPolicy(**bounds) if bounds else None
    return (await host.store.sessions.cleanup(policy, dry_run=dry_run)).to_dict()


async def _retention(host: Host) -> dict[str, Any]:
    policy = await host.store.sessions.retention()
    return {} if policy is None else present({**policy.to_dict(), "every_s": policy.every_s})


async def _set_retention(host: Host, policy: Mapping[str, Any] | None = None) -> None:
    bounds = dict(policy or {})
    every = {"every_s": bounds.pop("every_s")} if "every_s" in bounds else {}
    if every and not bounds:
        raise InvalidInput("every_s goes with a policy: give max_age_s, max_count or max_bytes", code="invalid-policy")
    await host.store.sessions.set_retention(RetentionPolicy(**bounds) if bounds else None, **every)


async def _shred(host: Host, session: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return (await host.store.sessions.shred(session, **(options or {}))).to_dict()


async def _set_template(host: Host, name: str, fields: Mapping[str, Any] | None = None) -> None:
    await host.store.sessions.set_template(name, fields)


async def _templates(host: Host) -> dict[str, Any]:
    return await host.store.sessions.templates()


_BOUNDS = options(
    Param("max_age_s", NUMBER, "those not changed for so many seconds", optional=True),
    Param("max_count", INT, "all but the newest so many", optional=True),
    Param("max_bytes", INT, "those beyond the newest with so many bytes of artifacts", optional=True),
    Param("statuses", TEXTS, "only of these; completed, failed and archived by default", optional=True),
    Param("hard", BOOL, "their artifacts for good: collect then frees what they held", optional=True),
    Param("dry_run", BOOL, "only look", optional=True),
)
_SHRED_S = 60.0
"""Both files are written anew. What was done before stands in the run's record first: nobody could ask what became of a
session that is gone to the last byte.
"""
_POLICY = options(
    Param("max_age_s", NUMBER, "those not changed for so many seconds", optional=True),
    Param("max_count", INT, "all but the newest so many", optional=True),
    Param("max_bytes", INT, "those beyond the newest with so many bytes of artifacts", optional=True),
    Param("statuses", TEXTS, "only of these; completed, failed and archived by default", optional=True),
    Param("orphans", BOOL, "also what was written to deleted sessions; true by default", optional=True),
    Param("every_s", NUMBER, "at most so often; an hour by default", optional=True),
)
_SHRED = options(
    Param("detach", BOOL, "also when other sessions are under it, or were made from it", optional=True),
    Param("dry_run", BOOL, "only look", optional=True),
)
_BUNDLE = options(
    Param("on_conflict", NAME, "fail, skip, rename or replace", optional=True),
    Param("passphrase", NAME, "of an encrypted bundle", optional=True),
    Param("dry_run", BOOL, "check it, and say what would be done", optional=True),
)
_COUNT = Param("count", INT, "how many at most")
_NAME, _FIELDS = (
    Param("name", NAME, "the template's name"),
    Param("fields", TABLE, "description, tags, metadata, config, created_by, state; nil takes it away", optional=True),
)
OPERATIONS = (
    Operation(
        "Session", ("import",),
        ((Param("path", NAME, "a bundle in what the run was granted"),
          Param("options", _BUNDLE, "how", optional=True)),),
        "a table {id, name, outcome, original_id, entries, …}", "Take in a session that was exported.", _import,
        errors=("invalid-bundle", "session-exists", "not-granted", "vetoed"), lua_returns="table",
    ),
    Operation(
        "Session", ("save_all_active", "save_all"), ((),), "a list of tables as `get` gives",
        "Save every active session, all of them or none.", _save_all, errors=("vetoed",), lua_returns="table[]",
    ),
    Operation(
        "Session", ("restore_recent",), ((_COUNT,),), "a list of tables as `get` gives",
        "Take up the sessions that changed last and have not ended.", _restore_recent,
        errors=("vetoed",), lua_returns="table[]",
    ),
    Operation(
        "Session", ("cleanup",), ((Param("options", _BOUNDS, "which; the stored policy by default", optional=True),),),
        "a table {deleted, vetoed, changed, orphans, …}",
        "Delete sessions that ended, by bounds. Active ones are never touched.", _cleanup,
        errors=("no-policy", "invalid-policy"), lua_returns="table",
    ),
    Operation(
        "Session", ("retention", "get_retention"), ((),),
        "a table {max_age_s?, max_count?, max_bytes?, statuses, every_s, …}, empty when there is none",
        "The policy that an open store applies in the background.", _retention, lua_returns="table",
    ),
    Operation(
        "Session", ("set_retention",), ((Param("policy", _POLICY, "nil or {}: none any more", optional=True),),),
        "nothing", "Store the policy that an open store applies in the background.", _set_retention,
        errors=("invalid-policy",), lua_returns="nil",
    ),
    Operation(
        "Session", ("shred",), ((Param("session", NAME, "id or unique name"),
                                 Param("options", _SHRED, "how", optional=True)),),
        "a table {id, payloads, state_keys, artifact_versions, keys, kept, …}",
        "Destroy a session that is not active for good: no byte of it stays.", _shred,
        errors=("session-not-found", "session-active", "session-needed", "vetoed"), lua_returns="table",
        wait_s=lambda _: _SHRED_S,
    ),
    Operation(
        "Session", ("set_template", "register_template"), ((_NAME, _FIELDS),), "nothing",
        "Register fields that `create{template=…}` begins with.", _set_template,
        errors=("invalid-template",), lua_returns="nil",
    ),
    Operation(
        "Session", ("templates", "list_templates"), ((),), "a table of fields by name", "Registered templates.",
        _templates, lua_returns="table",
    ),
)  # fmt: skip
