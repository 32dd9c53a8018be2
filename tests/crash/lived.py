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
    ``of_before``: its session was deleted, and imported again without it; ``inherited``: a fork has it from another.
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
    inherited: bool = False
    aside: list = field(default_factory=list)


@dataclass
class Lived:
    """One session. ``last`` is the highest number that each name had; ``labels`` are numbers by name and label;
    ``roots`` says of every version, also of a fork's past, what it was before a fork had its own of it.
    """

    id: str
    name: str
    status: str = "active"
    was: str = ""
    tags: list = field(default_factory=list)
    state: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)
    labels: dict = field(default_factory=dict)
    last: dict = field(default_factory=dict)
    roots: dict = field(default_factory=dict)
    checkpoints: dict = field(default_factory=dict)
    live: bool = True
    is_fork: bool = False
    life: int = 0
    buried: list = field(default_factory=list)

    def there(self, name=None):
        """Versions that are not deleted, by number."""
        found = [one for one in self.files.values() if not one.deleted and name in {None, one.name}]
        return sorted(found, key=lambda one: (one.name, one.number))

    def gone(self, name=None):
        """Versions that could be brought back."""
        return [one for one in self.files.values() if one.deleted and not one.erased and name in {None, one.name}]

    def fork(self, id_, name):
        """What a fork has when it begins."""
        made = deepcopy(self)
        made.id, made.name, made.status, made.live, made.is_fork = id_, name, "active", True, True
        made.buried += [one for one in made.files.values() if one.deleted and not one.of_before]
        made.files = {one.id: one for one in made.there()}
        for version in made.there():
            version.inherited, version.aside = True, []
        return made

    def adopt(self, version, id_):
        """Let an inherited version be the fork's own."""
        self.roots[id_] = self.roots[version.id]
        del self.files[version.id]
        version.id, version.inherited = id_, False
        self.files[id_] = version

    def add(self, version):
        self.files[version.id] = version
        self.roots[version.id] = version.id
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
        """The session that shows it; a fork has a copy of its own of what it inherits."""
        return next(one for one in self.sessions.values() if one.files.get(version.id) is version)

    def forks_with(self, version):
        """Forks that show what they inherit of it."""
        copies = [one.files.get(version.id) for one in self.live()]
        return [one for one in copies if one is not None and one.inherited and not one.deleted]

    def delete(self, session, version, *, hard):
        session.delete(version, hard=hard)
        for one in self.sessions.values() if hard else ():
            if version.id in one.files:
                one.files[version.id].erased = True

    def makes_cycle(self, session, source, kind, target):
        """Whether a relation closes a circle. To a fork its own version and what it was made of are one."""
        roots = session.roots if session.is_fork else {}
        above, todo = set(), [target]
        while todo:
            at = todo.pop()
            if at not in above:
                above.add(at)
                todo += [other for one, name, other in self.relations if (one, name) == (at, kind)]
                todo += [one for one, root in roots.items() if root == roots.get(at)]
        return source in above

    def of(self, session, *, inherited=False):
        """Relations that a session's artifacts have to others; ``inherited``: also of what it shows of others."""
        ids = {one.id for one in session.files.values() if not one.of_before and (inherited or not one.inherited)}
        return {key: by_put for key, by_put in self.relations.items() if key[0] in ids}

    def picture(self, *, own=False):
        """Everything that can be seen, to be compared; ``own``: without what forks inherit, and the labels of forks."""
        return deepcopy({
            "sessions": {one.id: (one.name, one.status, one.tags) for one in self.live()},
            "state": {one.id: one.state for one in self.live() if one.state},
            "artifacts": {
                (one.id, version.id): (version.name, version.number, len(version.data), version.mark, version.tags)
                for one in self.live() for version in one.there() if not (own and version.inherited)
            },
            "labels": {
                (one.id, *key): number
                for one in self.live() if not (own and one.is_fork) for key, number in one.labels.items()
            },
            "relations": set(self.relations),
            "grants": self.grants,
        })  # fmt: skip


_AT = "since_seq <= ?1 AND (until_seq IS NULL OR until_seq > ?1)"
_FORKS = "SELECT session FROM fork_level WHERE since_seq <= ?1 AND (until_seq IS NULL OR until_seq > ?1)"
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
    forks = {session for (session,) in rows(store, _FORKS, seq)}
    view = store.at(seq)
    sessions = {row[0]: (*row[1:3], decode_value(row[3])) for row in found["session"]}
    state = {one: dict(view.state_of(llmspell.Scope.session(one)).items()) for one in sessions}
    return {
        "sessions": sessions,
        "state": {one: values for one, values in state.items() if values},
        "artifacts": {row[1::-1]: (*row[2:6], decode_value(row[6])) for row in found["artifact"]},
        "labels": {row[:3]: row[3] for row in found["artifact_label"] if row[0] not in forks},
        "relations": set(found["artifact_relation"]),
        "grants": {(*row[:4], row[4] or None): row[5] for row in found["artifact_grant"]},
    }


def picture_now(store):
    """The same by the store's face."""
    sessions = {one.id: (one.name, str(one.status), one.tags) for one in store.sessions.list(limit=1000).items}
    found = defaultdict(dict)
    relations = set()
    own = {one for (one,) in rows(store, "SELECT id FROM artifact WHERE until_seq IS NULL")}
    for session in sessions:
        artifacts = store.sessions.open(session).artifacts
        for info in artifacts.list(all_versions=True, limit=1000).items:
            mark = info.metadata["n"]
            found["artifacts"][session, info.id] = info.name, info.version, info.size, mark, info.tags
            if info.id in own:
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
