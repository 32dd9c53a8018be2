"""A model of sessions and artifacts in plain dicts, and the same picture of a store, now or as of any entry."""

from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass, field

import llmspell
from llmspell.model.ids import id_text
from llmspell.model.values import decode_value

STEPS = {
    "suspend": ({"active"}, "suspended"),
    "resume": ({"suspended", "failed"}, "active"),
    "complete": ({"active", "suspended"}, "completed"),
    "fail": ({"active", "suspended"}, "failed"),
    "archive": ({"completed", "failed"}, "archived"),
}


@dataclass
class Version:
    """One version of an artifact. ``mark`` is what its metadata says, ``aside`` labels that a deletion took away;
    ``of_before``: its session was deleted, and imported again without it.
    """

    id: str
    name: str
    number: int
    data: bytes
    mark: int
    tags: list
    deleted: bool = False
    erased: bool = False
    of_before: bool = False
    aside: list = field(default_factory=list)


@dataclass
class Lived:
    """One session. ``last`` is the highest number that each name had; ``labels`` are numbers by name and label."""

    id: str
    name: str
    status: str = "active"
    was: str = ""
    tags: list = field(default_factory=list)
    state: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)
    labels: dict = field(default_factory=dict)
    last: dict = field(default_factory=dict)
    checkpoints: dict = field(default_factory=dict)
    live: bool = True

    def there(self, name=None):
        """Versions that are not deleted, by number."""
        found = [one for one in self.files.values() if not one.deleted and name in {None, one.name}]
        return sorted(found, key=lambda one: (one.name, one.number))

    def gone(self, name=None):
        """Versions that could be brought back."""
        return [one for one in self.files.values() if one.deleted and not one.erased and name in {None, one.name}]

    def add(self, version):
        self.files[version.id] = version
        self.last[version.name] = max(version.number, self.last.get(version.name, 0))

    def delete(self, version, *, hard):
        if not version.deleted:
            meant = [key for key, number in self.labels.items() if key[0] == version.name and number == version.number]
            version.aside = [label for _, label in meant]
            for key in meant:
                del self.labels[key]
        version.deleted = True
        version.erased = version.erased or hard

    def undelete(self, version):
        version.deleted = False
        for label in version.aside:
            self.labels.setdefault((version.name, label), version.number)

    def rename(self, name, to):
        for version in self.there(name):
            version.name = to
            self.last[to] = max(version.number, self.last.get(to, 0))
        for label in [label for old, label in self.labels if old == name]:
            self.labels[to, label] = self.labels.pop((name, label))


class World:
    """All sessions, also those that are gone; relations with whether a put said them; grants."""

    def __init__(self):
        self.sessions = {}
        self.relations = {}
        self.grants = {}

    def live(self):
        return [one for one in self.sessions.values() if one.live]

    def versions(self):
        return [version for one in self.live() for version in one.there()]

    def owner(self, version):
        return next(one for one in self.sessions.values() if version.id in one.files)

    def makes_cycle(self, source, kind, target):
        above, todo = set(), [target]
        while todo:
            at = todo.pop()
            if at not in above:
                above.add(at)
                todo += [other for one, name, other in self.relations if (one, name) == (at, kind)]
        return source in above

    def of(self, session):
        """Relations that a session's artifacts have to others."""
        ids = {version.id for version in session.files.values() if not version.of_before}
        return {key: by_put for key, by_put in self.relations.items() if key[0] in ids}

    def picture(self):
        """Everything that can be seen, to be compared."""
        return deepcopy({
            "sessions": {one.id: (one.name, one.status, one.tags) for one in self.live()},
            "state": {one.id: one.state for one in self.live() if one.state},
            "artifacts": {
                version.id: (one.id, version.name, version.number, len(version.data), version.mark, version.tags)
                for one in self.live() for version in one.there()
            },
            "labels": {(one.id, *key): number for one in self.live() for key, number in one.labels.items()},
            "relations": set(self.relations),
            "grants": self.grants,
        })  # fmt: skip


_AT = "since_seq <= ?1 AND (until_seq IS NULL OR until_seq > ?1)"
_QUESTIONS = {
    "session": ("id, name, status, json(tags)", "FROM session WHERE"),
    "artifact": ("id, session, name, version, size, metadata ->> 'n', json(tags)", "FROM artifact WHERE"),
    "artifact_label": ("session, name, label, version", "FROM artifact_label WHERE"),
    "artifact_relation": ("source, kind, target", "FROM artifact_relation WHERE"),
    "artifact_grant": ("session, name, version, grantee, granted_by, level", "FROM artifact_grant WHERE"),
}


def rows(store, sql, *args):
    """Rows of the store's own tables, ids as text."""
    found = store._store._files.engine.read(lambda view: view.all(sql, args))
    return [tuple(id_text(one) if isinstance(one, bytes) and len(one) == 16 else one for one in row) for row in found]


def picture_at(store, seq):
    """The picture of a store as of an entry, from its temporal tables and from the journal."""
    found = {table: rows(store, " ".join(("SELECT", *question, _AT)), seq) for table, question in _QUESTIONS.items()}
    view = store.at(seq)
    sessions = {row[0]: (*row[1:3], decode_value(row[3])) for row in found["session"]}
    state = {one: dict(view.state_of(llmspell.Scope.session(one)).items()) for one in sessions}
    return {
        "sessions": sessions,
        "state": {one: values for one, values in state.items() if values},
        "artifacts": {row[0]: (*row[1:6], decode_value(row[6])) for row in found["artifact"]},
        "labels": {row[:3]: row[3] for row in found["artifact_label"]},
        "relations": set(found["artifact_relation"]),
        "grants": {(*row[:4], row[4] or None): row[5] for row in found["artifact_grant"]},
    }


def picture_now(store):
    """The same by the store's face."""
    sessions = {one.id: (one.name, str(one.status), one.tags) for one in store.sessions.list(limit=1000).items}
    found = defaultdict(dict)
    relations = set()
    for session in sessions:
        artifacts = store.sessions.open(session).artifacts
        for info in artifacts.list(all_versions=True, limit=1000).items:
            mark = info.metadata["n"]
            found["artifacts"][info.id] = session, info.name, info.version, info.size, mark, info.tags
            relations |= {(one.source, one.kind, one.target) for one in store.artifacts.relations(info.id)}
            for label, number in artifacts.labels(info.name).items():
                found["labels"][session, info.name, label] = number
        values = dict(store.state_of(llmspell.Scope.session(session)).items())
        if values:
            found["state"][session] = values
    return {
        "sessions": sessions, "state": found["state"], "artifacts": found["artifacts"], "labels": found["labels"],
        "relations": relations,
    }  # fmt: skip


def differing(found, wanted):
    """What two pictures have otherwise, part by part: (found, wanted)."""
    parts = {}
    for what in wanted:
        one, other = found[what], wanted[what]
        if one != other:
            as_items = isinstance(other, dict)
            mine, theirs = (list(one.items()), list(other.items())) if as_items else (list(one), list(other))
            parts[what] = [row for row in mine if row not in theirs], [row for row in theirs if row not in mine]
    return parts
