"""Sessions and artifacts against plain dicts: any run of what can be done, with bundles, collects and crashes."""

import shutil
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from llmspell.errors import AlreadyExists, Conflict
from tests.crash.lived import Version, differing, picture_at, picture_now, rows
from tests.crash.living import PICK, Living, code
from tests.crash.test_model import abandon

pytestmark = pytest.mark.crash

KINDS = st.sampled_from(["derived_from", "child_of", "depends_on"])
RIGHTS = ("read", "write", "admin")


class WholeLife(Living):
    """With relations, grants, bundles and care. After each step the store is the model; at the end, as of any entry."""

    # -- relations, grants ---------------------------------------------------------------------------------------------

    @rule(pick=PICK, kind=KINDS, to=PICK)
    def relate(self, pick, kind, to):
        source = self.version(pick)
        if source is None:
            return
        session, room = self.world.owner(source), self.room(source)
        within = session.there() if source.inherited else [one for one in self.world.versions() if not one.inherited]
        other = within[to % len(within)]
        key = source.id, kind, other.id
        by_put = self.world.relations.get(key)
        is_known = by_put is True if source.inherited else by_put is not None
        if not is_known and self.world.makes_cycle(session, *key):
            assert code(lambda: room.relate(*key)) == "relation-cycle"
            return
        assert room.relate(*key) is not is_known
        if source.inherited:
            self.adopted(source, room.info(source.name, version=source.number).id)
        self.world.relations.setdefault((source.id, *key[1:]), False)

    @rule(pick=PICK)
    def unrelate(self, pick):
        there = {version.id for version in self.world.versions() if not version.inherited}
        found = sorted(key for key in self.world.relations if key[0] in there)
        if not found:
            return
        key = found[pick % len(found)]
        if self.world.relations[key]:
            assert code(lambda: self.store.artifacts.unrelate(*key)) == "relation-of-put"
            return
        assert self.store.artifacts.unrelate(*key)
        assert not self.store.artifacts.unrelate(*key)
        del self.world.relations[key]

    @rule(pick=PICK, to=PICK, right=st.sampled_from(RIGHTS), by_owner=st.booleans(), revoke=st.booleans())
    def grant(self, pick, to, right, by_owner, revoke):
        """Every version of a name by its session, or one by the store's owner."""
        version, grantee = self.version(pick), self.session(to)
        if version is None or version.inherited or version.id in grantee.files:
            return
        session = self.world.owner(version)
        room, what = (self.store.artifacts, version.id) if by_owner else (self.artifacts(session), version.name)
        place = session.id, version.name, version.number if by_owner else 0, grantee.id
        if revoke:
            ending = [key for key in self.world.grants if key[:4] == place]
            assert room.revoke(what, grantee.id) == len(ending)
            for key in ending:
                del self.world.grants[key]
        else:
            room.grant(what, grantee.id, right)
            self.world.grants[*place, None if by_owner else session.id] = RIGHTS.index(right) + 1

    # -- bundles -------------------------------------------------------------------------------------------------------

    @rule(pick=PICK)
    def export(self, pick):
        session = self.session(pick)
        path = self.home / f"{len(self.exported)}.session"
        self.store.sessions.export(session.id, path)
        carried = deepcopy(session)
        carried.files |= {one.id: one for one in deepcopy(session.buried)}
        for version in carried.files.values():
            version.erased = self.is_erased(version.id)
        self.exported.append((path, carried, deepcopy(self.world.of(session))))

    @rule(pick=PICK)
    def move(self, pick):
        """What is exported now comes under new ids."""
        self.export(pick)
        self.import_(len(self.exported) - 1, "rename")
        self.store.sessions.delete(self.world.live()[-1].id)
        self.forget(self.world.live()[-1])

    @rule(pick=PICK, how=st.sampled_from(["fail", "skip", "replace", "replace", "replace"]))
    def import_again(self, pick, how):
        """Something that was exported some time ago, to where it came from."""
        if self.exported:
            self.import_(pick, how)

    @precondition(lambda self: self.exported and len(self.world.live()) < 6)
    @rule(pick=PICK, how=st.sampled_from(["fail", "skip", "rename", "replace"]))
    def import_(self, pick, how):
        path, carried, relations = self.exported[pick % len(self.exported)]
        here = self.world.sessions[carried.id]
        if here.live and how == "fail":
            assert code(lambda: self.store.sessions.import_(path)) == "session-exists"
            return
        before = self.store.stats()["last_seq"]
        try:
            told = self.store.sessions.import_(path, on_conflict=how)
        except (AlreadyExists, Conflict) as error:  # What became of its artifacts here does not go with the old ones.
            if (here.live, how) == (True, "rename") or error.code not in {"artifact-exists", "relation-cycle"}:
                raise
            return
        outcome = {"skip": "skipped", "rename": "renamed", "replace": "replaced"}[how] if here.live else "imported"
        assert told.outcome == outcome
        if outcome != "skipped":
            carried = deepcopy(carried)
            carried.files = {one.id: one for one in carried.files.values() if not one.of_before}
            self.arrive(told, carried, relations, before)

    def arrive(self, told, carried, relations, before):
        """Let the model have what came; ids and numbers that are new are those that the store gave."""
        here = self.world.sessions.get(told.id)
        again = here is not None
        if again and here.live:
            self.forget(here)
        of_before = [key for key in self.world.relations if again and key[0] in here.files]
        new = rows(self.store, LAST, before, told.id)
        ids = {}
        for mark in {version.mark for version in carried.files.values()}:
            mine = [one for one in carried.files.values() if one.mark == mark]
            mine.sort(key=lambda one: (one.name, one.number))
            theirs = sorted((row for row in new if row[3] == mark), key=lambda row: row[1:3])
            assert len(mine) == len(theirs)
            ids |= {version.id: row for version, row in zip(mine, theirs, strict=True)}
        numbers = {}
        others = {one.id for one in carried.buried} | {one.id for one in carried.files.values() if one.inherited}
        moved = again and (bool(others) or any(self.is_erased(one) for one in carried.files))
        for version in carried.files.values():
            id_, name, number, _ = ids[version.id]
            assert name == version.name
            assert number == version.number or moved
            assert (id_ == version.id) is (again and version.id not in others and not self.is_erased(version.id))
            numbers[version.name, version.number] = number
            version.id, version.number, version.inherited = id_, number, False
        kept = here.files if again else {}
        for version in kept.values():
            version.of_before = True
        carried.files = kept | {one.id: one for one in carried.files.values()}
        carried.roots = {one: one for one in carried.files}
        carried.labels = {key: numbers[key[0], number] for key, number in carried.labels.items()}
        carried.last = dict(rows(self.store, LAST_NUMBERS, told.id))
        carried.id, carried.name, carried.live = told.id, told.name, True
        was_fork, carried.is_fork, carried.buried = carried.is_fork, False, []
        carried.life = next(self.marks)
        self.world.sessions[told.id] = carried
        for key in of_before:
            if key[0] in {row[0] for row in new}:
                del self.world.relations[key]
        if was_fork:  # Those of what it inherited are as they were when it began.
            self.world.relations |= {row[:3]: bool(row[3]) for row in rows(self.store, RELATIONS, told.id)}
            return
        for (source, kind, other), by_put in relations.items():
            other_here = ids[other][0] if other in ids else other
            self.world.relations[ids[source][0], kind, other_here] = by_put

    def is_erased(self, artifact):
        return any(one.files[artifact].erased for one in self.world.sessions.values() if artifact in one.files)

    @rule(pick=PICK)
    def export_artifacts(self, pick):
        session = self.session(pick)
        path = self.home / f"{len(self.archives)}.zip"
        self.artifacts(session).export(path, format="zip" if pick % 2 else "json")
        labels = {(name, number, label) for (name, label), number in session.labels.items()}
        relations = self.world.of(session, inherited=True)
        self.archives.append((path, deepcopy(session.there()), labels, relations))

    @precondition(lambda self: self.archives)
    @rule(pick=PICK, to=PICK, how=st.sampled_from(["fail", "skip", "rename", "replace"]))
    def import_artifacts(self, pick, to, how):
        path, versions, labels, relations = self.archives[pick % len(self.archives)]
        session = self.session(to)
        artifacts = self.artifacts(session)
        taken = {name for name in {one.name for one in versions} if session.there(name)}
        if how == "fail" and taken:
            assert code(lambda: artifacts.import_(path)) == "artifact-exists"
            return
        coming = [one for one in versions if not (how == "skip" and one.name in taken)]
        if coming and self.is_put_away(session, lambda: artifacts.import_(path, on_conflict=how)):
            return
        told = artifacts.import_(path, on_conflict=how)
        assert sorted(told.skipped) == (sorted(taken) if how == "skip" else [])
        assert told.renamed.keys() == taken if how == "rename" else not told.renamed
        assert not session.last.keys() & set(told.renamed.values())
        making_room = [one for name in taken for one in session.there(name)] if how == "replace" else []
        assert told.replaced == len(making_room)
        for version in making_room:
            session.delete(version, hard=False)
        self.take_in(session, told, coming, labels, relations)

    def take_in(self, session, told, coming, labels, relations):
        infos = {(info.name, info.version): info for info in told.artifacts}
        assert len(infos) == len(coming)
        ids = {}
        for one in coming:
            name = told.renamed.get(one.name, one.name)
            number = max(session.last.get(name, 0) + 1, one.number)
            info = infos[name, number]
            ids[one.id] = info.id
            session.add(Version(info.id, name, number, one.data, one.mark, one.tags))
            for _, _, label in [key for key in labels if key[:2] == (one.name, one.number)]:
                session.labels[name, label] = number
        for (source, kind, other), by_put in relations.items():
            if source in ids and (by_put or other in ids):
                self.world.relations[ids[source], kind, ids.get(other, other)] = by_put

    # -- care ----------------------------------------------------------------------------------------------------------

    @rule()
    def collect(self):
        self.store.collect()
        orphans = self.store.orphans()
        assert (orphans.content_count, orphans.chunks, orphans.in_progress) == (0, 0, False)
        needed = {
            version.data for one in self.world.sessions.values() for version in one.files.values() if not version.erased
        }
        assert self.store.stats()["blobs"] == len(needed)

    @rule()
    def begin_page(self):
        page = self.store.artifacts.query(order_by="name", limit=1)
        if page.next_cursor is not None:
            ids = {version.id: (version.name, version.number) for version in self.world.versions()
                   if not version.inherited}  # fmt: skip
            del ids[page.items[0].id]
            self.pages.append((page.next_cursor, ids))

    @precondition(lambda self: self.pages)
    @rule()
    def finish_page(self):
        """A list that was begun shows what there was then."""
        cursor, ids = self.pages.pop()
        page = self.store.artifacts.query(order_by="name", limit=1000, cursor=cursor)
        assert {info.id: (info.name, info.version) for info in page.items} == ids

    @rule()
    def reopen(self):
        self.store.__exit__(None, None, None)
        self.open()

    @rule()
    def crash(self):
        self.folder = abandon(self.store)
        self.open()

    # -- what is true after each step ----------------------------------------------------------------------------------

    @invariant()
    def store_is_the_model(self):
        if not hasattr(self, "store"):
            return
        wanted = self.world.picture()
        last = self.store.stats()["last_seq"]
        self.past[last] = self.world.picture(own=True)
        self.moments[last] = deepcopy(self.world.sessions)
        own = self.past[last]["artifacts"]
        there = {artifact for _, artifact in own}
        wanted["relations"] = {key for key in wanted["relations"] if key[0] in there or key[2] in there}
        del wanted["grants"]
        found = picture_now(self.store)
        different = differing(found, wanted)
        assert different == {}, different
        assert repr(found["state"]) == repr({key: wanted["state"][key] for key in found["state"]})
        assert self.store.artifacts.count(exact=True).number == len(own)
        assert self.store.sessions.count(exact=True).number == len(wanted["sessions"])

    @invariant()
    def contents_are_the_models(self):
        if not hasattr(self, "store"):
            return
        for version in self.world.versions():
            assert self.room(version).get(version.id).read() == version.data
        for session in self.world.sessions.values():
            if session.live:
                found = self.artifacts(session).deleted()
            else:
                found = self.store.artifacts.deleted(session=session.id)
            gone = {info.id: (info.name, info.version) for info in found}
            wanted = {one.id: (one.name, one.number) for one in session.gone()}
            assert gone == wanted, (session, gone, wanted)

    @invariant()
    def store_is_sound(self):
        """The chain, all content, and every table is what a rebuild from the journal gives."""
        if hasattr(self, "store"):
            report = self.store.verify()
            assert report.ok, [finding.what for finding in report.findings]

    def teardown(self):
        if not hasattr(self, "store"):
            return
        try:
            for seq, wanted in self.past.items():
                assert differing(picture_at(self.store, seq), wanted) == {}, seq
        finally:
            self.store.__exit__(None, None, None)
            shutil.rmtree(self.home)


LAST = (
    "SELECT id, name, version, metadata ->> 'n' FROM artifact a"
    " WHERE since_seq > ? AND session = unhex(replace(?, '-', ''))"
    " AND since_seq = (SELECT max(since_seq) FROM artifact l WHERE l.id = a.id) ORDER BY version"
)
"""The last row of each artifact of a session that was stored after an entry."""
RELATIONS = (
    "SELECT source, kind, target, by_put FROM artifact_relation WHERE until_seq IS NULL"
    " AND source IN (SELECT id FROM artifact WHERE session = unhex(replace(?, '-', '')))"
)
LAST_NUMBERS = "SELECT name, max(version) FROM artifact WHERE session = unhex(replace(?, '-', '')) GROUP BY name"


class TestWholeLife(WholeLife.TestCase):
    settings = settings(
        max_examples=8,
        stateful_step_count=40,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestWholeLongLife(WholeLife.TestCase):
    settings = settings(
        max_examples=200,
        stateful_step_count=80,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
