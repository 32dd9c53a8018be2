"""Packing and unpacking golden stores, and everything they hold in a form that a person can compare."""

import hashlib
import io
import json
import zipfile
from contextlib import closing
from pathlib import Path

import apsw
from blake3 import blake3

from llmspell.journal.codec import load_payload
from llmspell.model.scope import Scope

HERE = Path(__file__).parent
RECORDED = HERE / "digests.json"
"""SHA-256 of each ``store.zip``, by format."""
STORE, KEYS = "store", "keys"
"""What is packed: the store's folder, and the key folder with its keyring, which is never inside the store."""
NO_DUMP = {"chunk_data", "term", "session_activity", "watermark"}
"""Bytes of chunks, and caches that lag."""
PLAIN_TABLES = (
    "SELECT name FROM pragma_table_list"
    " WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
)
"""Not the indexes of words: those are virtual, lag, and their shadows are SQLite's own affair."""
SOUGHT = ("resume", "NAIVE prufung", "отчет", "Елка", "ωδη", "τω λογω", "報告書", "東京の", "हिन्दी", "spater", "ntoes")
SUMMED_UP = {"chunk"}
"""Tables of hundreds of rows that say nothing to a person: their number and a digest."""
_SIDE_FILES = ("-shm", "-journal", ".lock", "reserve")


def folder_of(number):
    """Where the golden store of a format is kept."""
    return HERE / f"format-{number}"


def formats():
    """The numbers of all golden stores."""
    return sorted(int(path.name.removeprefix("format-")) for path in HERE.glob("format-*"))


def pack(folder):
    """The bytes of a zip of a folder with a closed store. The same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as target:
        for path in sorted(
            path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(_SIDE_FILES)
        ):
            data = path.read_bytes()
            if path.name.endswith("-wal") and not data:
                continue
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (2000, 1, 1, 0, 0, 0))
            info.external_attr = 0o600 << 16
            target.writestr(info, data, zipfile.ZIP_LZMA)
    return out.getvalue()


def unpack(number, folder):
    """The store of a format, and its keys, below ``folder`` as they lay when it was made."""
    with zipfile.ZipFile(folder_of(number) / "store.zip") as source:
        source.extractall(folder)
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return folder


def digest(number):
    """SHA-256 of a golden store as it is kept."""
    return hashlib.sha256((folder_of(number) / "store.zip").read_bytes()).hexdigest()


def recorded():
    """SHA-256 of each golden store as it is to be."""
    return {int(number): value for number, value in json.loads(RECORDED.read_text("utf-8")).items()}


def dump_tables(folder):
    """Every row of every table of a closed store, texts and numbers as they are, bytes in hexadecimal."""
    found = {}
    for name in ("main.db", "content.db"):
        path = folder / "generation-000001" / name
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            names = [row[0] for row in connection.execute(PLAIN_TABLES)]
            tables = {table: _rows(connection, table) for table in names if table not in NO_DUMP}
            found[name] = {"format": connection.pragma("user_version"), "tables": tables}
    return found


def _rows(connection, table):
    columns = list(connection.execute(f"PRAGMA table_info({table})"))
    key = [column[1] for column in sorted(columns, key=lambda column: column[5]) if column[5]]
    names = [column[1] for column in columns]
    cursor = connection.execute(f"SELECT * FROM {table} ORDER BY {', '.join(key)}")  # noqa: S608 - the file's own names
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    if table == "entry":
        for row in rows:
            row["payload"] = None if row["payload"] is None else load_payload(row["codec"], row["payload"]).decode()
    plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
    if table not in SUMMED_UP:
        return plain
    return [{"rows": len(plain), "blake3": blake3(json.dumps(plain, sort_keys=True).encode()).hexdigest()}]


def _plain(value):
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def lines_of(files, rooms):
    """A dump as text, a row a line: what ``dump_tables`` and ``look`` gave."""
    for file, found in files.items():
        yield _line(file, "format", found["format"])
        for table, rows in found["tables"].items():
            yield from (_line(file, table, row) for row in rows)
    for room, answers in rooms.items():
        pairs = answers.items() if isinstance(answers, dict) else enumerate(answers)
        yield from (_line("rooms", room, key, answer) for key, answer in pairs)


def _line(*parts):
    return json.dumps(parts, ensure_ascii=False, sort_keys=True)


def kept_dump(number):
    """The lines that are kept beside a golden store."""
    return (folder_of(number) / "dump.jsonl").read_text("utf-8").splitlines()


async def look(store):
    """What the rooms of an open store answer: the part of a dump that no later format may change."""
    return {
        "state": {scope: await _scope(store, scope) for scope in await _scopes(store)},
        "sessions": [await _session(store, info) for info in (await store.sessions.list(limit=1000)).items],
        "agents": [_agent(await store.agents.load(info.agent_id)) for info in (await store.agents.list()).items],
        "grants": [_grant(one) for one in (await store.access.grants()).items],
        "bindings": [one.to_dict() for one in await store.schemas.bindings()],
        "boundaries": {scope: list(rights) for scope, rights in (await store.access.boundaries()).items()},
        "cut_offs": await store.access.cut_offs(),
        "found": {words: await _found(store, words) for words in SOUGHT},
    }


async def _found(store, words):
    """Whose names and texts say something, and which names are like it."""
    asked = {"text": {"text": words}, "fuzzy": {"fuzzy": words}}
    answers = {how: [one.name for one in await store.artifacts.query(**asked[how])] for how in asked}
    return {**answers, "sessions": [one.name for one in (await store.sessions.list(text=words)).items]}


def _grant(one):
    return {"principal": one.principal, "scope": one.scope, "rights": sorted(one.rights), "by": one.granted_by,
            "children": one.children, "expires_at": one.expires_at and one.expires_at.isoformat()}  # fmt: skip


async def _scopes(store):
    rows = await store.journal.database.read(lambda view: view.all("SELECT name FROM scope ORDER BY name"))
    return [name for (name,) in rows]


async def _scope(store, name):
    state = store.state_of(Scope.parse(name))
    found = {}
    for key in await state.keys():
        entry = await state.entry(key)
        history = await state.history(key)
        found[key] = {"value": await state.get(key), "version": entry.version, "class": entry.state_class,
                      "history": [[change.version, change.value] for change in history]}  # fmt: skip
    return found


async def _session(store, info):
    session = await store.sessions.open(info.id)
    artifacts = []
    for one in (await session.artifacts.list(all_versions=True, limit=1000)).items:
        content = await (await store.artifacts.get(one.id)).read()
        artifacts.append({"name": one.name, "version": one.version, "type": one.type, "tags": one.tags,
                          "description": one.description, "metadata": one.metadata, "size": len(content),
                          "digest": blake3(content).hexdigest()})  # fmt: skip
    return {"id": info.id, "name": info.name, "status": str(info.status), "reason": info.reason, "tags": info.tags,
            "description": info.description, "metadata": info.metadata, "config": info.config, "parent": info.parent,
            "created_by": info.created_by, "created_at": info.created_at.isoformat(),
            "checkpoints": [one.label for one in await session.checkpoints()], "artifacts": artifacts}  # fmt: skip


def _agent(state):
    return {"agent": state.agent_id, "type": state.agent_type, "version": state.version, "custom": state.custom_data,
            "conversation": [[one.number, one.role, one.content] for one in state.conversation],
            "tools": {name: [one.calls, one.failures] for name, one in state.tool_usage.items()}}  # fmt: skip
