"""Grants of artifacts: a session reaches what is its own and what it was granted, as long as it is, nothing else."""

import pytest

import llmspell
from llmspell.errors import AccessDenied, LlmspellError
from llmspell.model.clock import ManualClock


def code(call):
    with pytest.raises(LlmspellError) as refused:
        call()
    return refused.value.code


@pytest.fixture
def owner(store):
    return store.sessions.create("owner")


@pytest.fixture
def guest(store):
    return store.sessions.create("guest")


@pytest.fixture
def info(owner):
    return owner.artifacts.put("plan.md", "secret plan", tags=["x"])


READS = {
    "get": lambda room, one: room.get(one.id).text(), "info": lambda room, one: room.info(one.id),
    "lineage": lambda room, one: room.lineage(one.id), "ancestors": lambda room, one: room.ancestors(one.id),
    "relations": lambda room, one: room.relations(one.id), "history": lambda room, one: room.history(one.id),
    "diff": lambda room, one: room.diff(one.id, one.id),
    "derived": lambda room, one: room.put("mine", b"", derived_from=[one.id]),
}  # fmt: skip
WRITES = {
    "update": lambda room, one: room.update(one.id, description="changed"),
    "relate": lambda room, one: room.relate(one.id, "depends_on", room.put("mine", b"").id),
}
ADMINS = {
    "grants": lambda room, one: room.grants(one.id), "audit": lambda room, one: room.audit(one.id),
    "delete": lambda room, one: room.delete(one.id),
    "delete for good": lambda room, one: room.delete(one.id, hard=True),
    "delete_tree": lambda room, one: room.delete_tree(one.id),
}  # fmt: skip
LEVELS = {"read": READS, "write": WRITES, "admin": ADMINS}
RIGHTS = list(LEVELS)
EVERY = [(right, name) for right, calls in LEVELS.items() for name in calls]


@pytest.mark.parametrize(("right", "name"), EVERY, ids=[name for _, name in EVERY])
def test_each_operation_on_anothers_artifact_needs_its_right(store, owner, guest, info, right, name):
    call = LEVELS[right][name]
    assert code(lambda: call(guest.artifacts, info)) == "artifact-denied"
    for less in RIGHTS[: RIGHTS.index(right)]:
        store.artifacts.grant(info.id, guest.id, less)
        assert code(lambda: call(guest.artifacts, info)) == "artifact-denied"
    assert owner.artifacts.info("plan.md") == info
    store.artifacts.grant(info.id, guest.id, right)
    call(guest.artifacts, info)


def test_a_refusal_names_ids_and_nothing_else(guest, info):
    with pytest.raises(AccessDenied) as refused:
        guest.artifacts.get(info.id)
    assert "plan" not in f"{refused.value} {refused.value.details} {refused.value.hint}"


def test_a_name_means_every_version_and_an_id_one(owner, guest, info):
    second = owner.artifacts.put("plan.md", "two")
    owner.artifacts.grant(info.id, guest.id)
    assert guest.artifacts.get(info.id).text() == "secret plan"
    assert code(lambda: guest.artifacts.get(second.id)) == "artifact-denied"
    owner.artifacts.grant("plan.md", guest.id)
    third = owner.artifacts.put("plan.md", "three")
    assert guest.artifacts.get(third.id).text() == "three"
    assert owner.artifacts.revoke("plan.md", guest.id) == 1
    assert code(lambda: guest.artifacts.get(third.id)) == "artifact-denied"
    assert guest.artifacts.get(info.id).text() == "secret plan", "the grant of the version stands"


def test_a_grant_of_one_name_opens_no_other_and_its_end_ends_no_other(store, owner, guest, info):
    third = store.sessions.create("third")
    notes = owner.artifacts.put("notes.md", "secret notes")
    same = third.artifacts.put("plan.md", "another's plan")
    owner.artifacts.grant("plan.md", guest.id)
    assert guest.artifacts.get(info.id).text() == "secret plan"
    for closed in (notes, same):
        assert code(lambda closed=closed: guest.artifacts.get(closed.id)) == "artifact-denied"
    assert code(lambda: third.artifacts.get(info.id)) == "artifact-denied"
    owner.artifacts.grant("notes.md", guest.id)
    owner.artifacts.grant("plan.md", third.id)
    third.artifacts.grant("plan.md", guest.id)
    assert owner.artifacts.revoke("plan.md", guest.id) == 1
    assert code(lambda: guest.artifacts.get(info.id)) == "artifact-denied"
    assert guest.artifacts.get(notes.id).text() == "secret notes"
    assert guest.artifacts.get(same.id).text() == "another's plan"
    assert third.artifacts.get(info.id).text() == "secret plan"


def test_the_owner_of_the_store_takes_back_a_grant_in_one_session_alone(store, owner, guest, info):
    same = store.sessions.create("third").artifacts.put("plan.md", "another's plan")
    for one in (info, same):
        store.artifacts.grant(one.id, guest.id)
    assert store.artifacts.revoke(info.id, guest.id) == 1
    assert code(lambda: guest.artifacts.get(info.id)) == "artifact-denied"
    assert guest.artifacts.get(same.id).text() == "another's plan"


def test_a_session_takes_back_what_it_granted_and_not_what_another_did(store, owner, guest, info):
    third = store.sessions.create("third")
    owner.artifacts.grant(info.id, guest.id, "admin")
    owner.artifacts.grant(info.id, third.id, "write")
    guest.artifacts.grant(info.id, third.id, "read")
    assert guest.artifacts.revoke(info.id, third.id) == 1
    assert third.artifacts.update(info.id, tags=["still"]).tags == ["still"]


def test_a_grant_ends_at_its_very_moment_for_reads_writes_and_lists(tmp_path):
    clock = ManualClock()  # It stands still, so that the moment can be hit.
    with llmspell.open(tmp_path / "still", clock=clock) as store:
        owner, guest = store.sessions.create("owner"), store.sessions.create("guest")
        info = owner.artifacts.put("plan.md", "secret plan")
        owner.artifacts.grant(info.id, guest.id, "write", expires_in_s=60)
        clock.advance(60 - 1e-9)
        assert guest.artifacts.update(info.id, description="in time").description == "in time"
        assert len(owner.artifacts.grants(info.id)) == len(guest.artifacts.granted().items) == 1
        clock.advance(1e-9)
        assert code(lambda: guest.artifacts.get(info.id)) == "artifact-denied"
        assert code(lambda: guest.artifacts.update(info.id, description="late")) == "artifact-denied"
        assert (owner.artifacts.grants(info.id), guest.artifacts.granted().items) == ([], [])


def test_what_was_granted_is_listed_by_pages_each_grant_once(store, owner, guest):
    third = store.sessions.create("third")
    for session in (owner, third):
        for name in ("a", "b", "c"):
            session.artifacts.put(name, name)
            session.artifacts.grant(name, guest.id)
    page = guest.artifacts.granted(limit=2)
    seen = [(one.session, one.name) for one in page]
    while page.next_cursor:
        page = guest.artifacts.granted(limit=2, cursor=page.next_cursor)
        seen += [(one.session, one.name) for one in page]
    assert seen == sorted((session.id, name) for session in (owner, third) for name in ("a", "b", "c"))


def test_grants_and_their_ends_survive_reopening(face, store, owner, guest, info, clock):
    store.artifacts.grant(info.id, guest.id, "read", expires_in_s=60)
    for opened in face.both(store):
        room = opened.sessions.open(guest.id).artifacts
        assert room.get(info.id).text() == "secret plan"
        (grant,) = opened.artifacts.grants(info.id)
        assert (grant.grantee, grant.right, grant.version, grant.granted_by) == (guest.id, "read", 1, None)
        assert [one.name for one in room.granted()] == ["plan.md"]
        assert opened.verify().ok
    opened = face.reopen()
    clock.advance(61)
    room = opened.sessions.open(guest.id).artifacts
    assert code(lambda: room.get(info.id)) == "artifact-denied"
    assert opened.artifacts.grants(info.id) == []
    assert room.granted().items == []


def test_what_another_handle_revokes_is_refused_at_once(face, store, owner, guest, info):
    owner.artifacts.grant("plan.md", guest.id, "admin")
    second = face.open()
    room = second.sessions.open(guest.id).artifacts
    assert room.get(info.id).text() == "secret plan"
    owner.artifacts.revoke("plan.md", guest.id)
    assert code(lambda: room.get(info.id)) == "artifact-denied"
    assert code(lambda: room.update(info.id, tags=[])) == "artifact-denied"


def test_a_session_that_comes_again_has_none_of_its_grants(store, owner, guest, info, tmp_path):
    third = store.sessions.create("third")
    owner.artifacts.grant("plan.md", guest.id, "admin")
    guest.artifacts.grant(info.id, third.id)
    own = guest.artifacts.put("own.txt", "a guest's")
    guest.artifacts.grant(own.id, owner.id)
    assert third.artifacts.get(info.id).text() == "secret plan"
    store.sessions.export(guest.id, tmp_path / "guest.session")
    store.sessions.delete(guest.id)
    assert code(lambda: third.artifacts.get(info.id)) == "artifact-denied", "what it granted on ends with it"
    assert store.artifacts.grants(info.id) == []
    store.sessions.import_(tmp_path / "guest.session")
    guest = store.sessions.open(guest.id)
    assert code(lambda: guest.artifacts.get(info.id)) == "artifact-denied"
    assert code(lambda: owner.artifacts.get(own.id)) == "artifact-denied"
    assert store.verify().ok


def test_an_admin_grants_on_no_more_and_no_longer_than_it_has(store, owner, guest, info, clock):
    third = store.sessions.create("third")
    owner.artifacts.grant(info.id, guest.id, "admin", expires_in_s=100)
    assert code(lambda: guest.artifacts.grant(info.id, third.id)) == "artifact-denied", "that would be for ever"
    assert code(lambda: guest.artifacts.grant(info.id, third.id, expires_in_s=200)) == "artifact-denied"
    guest.artifacts.grant(info.id, third.id, expires_in_s=50)
    assert third.artifacts.get(info.id).text() == "secret plan"
    assert code(lambda: third.artifacts.grant(info.id, guest.id, expires_in_s=1)) == "artifact-denied"
    (_, second) = store.artifacts.grants(info.id)
    assert (second.granted_by, second.grantee) == (guest.id, third.id)


@pytest.mark.parametrize("how", ["revoked", "lowered", "shortened"])
def test_what_was_granted_on_ends_with_what_held_it_up(store, owner, guest, info, how):
    third, fourth = store.sessions.create("third"), store.sessions.create("fourth")
    owner.artifacts.grant(info.id, guest.id, "admin")
    guest.artifacts.grant(info.id, third.id, "admin")
    third.artifacts.grant(info.id, fourth.id, "read")
    third.artifacts.grant(info.id, guest.id, "admin")
    assert len(store.artifacts.grants(info.id)) == 4
    if how == "revoked":
        owner.artifacts.revoke(info.id, guest.id)
    else:
        kept = {"lowered": ("write", None), "shortened": ("admin", 10)}[how]
        owner.artifacts.grant(info.id, guest.id, kept[0], expires_in_s=kept[1])
        store.artifacts.revoke(info.id, third.id) if how == "shortened" else None
    assert code(lambda: fourth.artifacts.get(info.id)) == "artifact-denied"
    assert code(lambda: third.artifacts.get(info.id)) == "artifact-denied"
    passed_on = [entry.data["passed_on"] for entry in store.timeline(kinds=["artifact.revoked"])]
    assert True in passed_on
    assert store.verify().ok


def test_another_session_cannot_revoke_what_it_did_not_grant(owner, guest, info, store):
    third = store.sessions.create("third")
    owner.artifacts.grant(info.id, guest.id, "admin")
    owner.artifacts.grant(info.id, third.id)
    assert guest.artifacts.revoke(info.id, third.id) == 0
    assert third.artifacts.info(info.id) == info


def test_the_audit_tells_grants_uses_and_refusals_newest_first(store, owner, guest, info, clock):
    code(lambda: guest.artifacts.get(info.id))
    clock.advance(2)
    owner.artifacts.grant(info.id, guest.id)
    guest.artifacts.get(info.id)
    clock.advance(2)
    owner.artifacts.revoke(info.id, guest.id)
    records = store.artifacts.audit(info.id)
    assert [one.action for one in records] == ["revoked", "used", "granted", "denied"]
    assert {one.grantee for one in records} == {guest.id}
    assert records.items[-1].code == "artifact-denied"
    for limit in (2, 3):
        first = store.artifacts.audit(info.id, limit=limit)
        rest = store.artifacts.audit(info.id, limit=limit, cursor=first.next_cursor)
        assert [one.action for one in (*first, *rest)] == ["revoked", "used", "granted", "denied"]
    assert [one.action for one in owner.artifacts.audit("plan.md")] == [one.action for one in records]


NOWHERE = "01900000-0000-7000-8000-000000000000"
SHOWN = {
    "grants": lambda room, one, _: room.grants(one), "audit": lambda room, one, _: room.audit(one).items,
    "revoke": lambda room, one, guest: room.revoke(one, guest.id),
}  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_what_never_was_has_no_grants_and_no_audit_to_show(store, owner, guest, info, name):
    call, before = SHOWN[name], store.stats()["last_seq"]
    for room in (owner.artifacts, store.sessions.fork(owner.id).artifacts):
        assert code(lambda room=room: call(room, "plam.md", guest)) == "artifact-not-found"
        assert code(lambda room=room: call(room, NOWHERE, guest)) == "artifact-not-found"
    assert code(lambda: call(store.artifacts, NOWHERE, guest)) == "artifact-not-found"
    assert code(lambda: call(guest.artifacts, "plan.md", guest)) == "artifact-not-found", "a name of another session"
    assert not call(owner.artifacts, "plan.md", guest), "there, and nothing was granted"
    assert store.stats()["last_seq"] == before + 1, "the fork alone"


@pytest.mark.parametrize("hard", [False, True])
def test_what_is_deleted_keeps_its_audit_and_its_grants_can_be_revoked(face, store, owner, guest, info, hard):
    owner.artifacts.grant("plan.md", guest.id)
    owner.artifacts.delete("plan.md", hard=hard)
    opened = face.reopen()
    room = opened.sessions.open(owner.id).artifacts
    for one in ("plan.md", info.id):
        assert [record.action for record in room.audit(one)] == ["granted"]
        assert [grant.grantee for grant in room.grants(one)] == [guest.id]
    assert room.revoke("plan.md", guest.id) == 1
    assert [record.action for record in opened.artifacts.audit(info.id)] == ["revoked", "granted"]


def test_an_old_name_keeps_its_audit(owner, guest, info):
    owner.artifacts.grant("plan.md", guest.id)
    owner.artifacts.rename("plan.md", "other.md")
    assert [record.action for record in owner.artifacts.audit("plan.md")] == ["granted"]
    assert (owner.artifacts.grants("plan.md"), owner.artifacts.revoke("plan.md", guest.id)) == ([], 0)


def test_a_lineage_hides_what_a_session_may_not_read(store, owner, guest, info):
    mine = guest.artifacts.put("mine", b"")
    store.artifacts.relate(mine.id, "depends_on", info.id)
    (above,) = guest.artifacts.ancestors("mine")
    assert (above.id, above.state, above.name, above.session) == (info.id, "hidden", None, None)
    assert "plan" not in guest.artifacts.lineage("mine").to_dot()
    owner.artifacts.grant("plan.md", guest.id)
    assert guest.artifacts.ancestors("mine")[0].name == "plan.md"


def test_an_export_holds_only_what_the_session_may_read(owner, guest, info, tmp_path):
    assert code(lambda: guest.artifacts.export(tmp_path / "b.zip", ids=[info.id])) == "artifact-denied"
    assert list(tmp_path.glob("*.zip")) == []
    owner.artifacts.grant(info.id, guest.id)
    assert guest.artifacts.export(tmp_path / "b.zip", ids=[info.id]).artifacts == 1


def test_grants_follow_a_name_that_changes(owner, guest, info):
    owner.artifacts.grant("plan.md", guest.id, "write")
    owner.artifacts.rename("plan.md", "other.md")
    assert guest.artifacts.update(info.id, description="by the guest").name == "other.md"
    assert owner.artifacts.revoke("other.md", guest.id) == 1


def test_many_puts_say_of_each_whether_its_source_may_be_used(store, owner, guest, info):
    report = guest.artifacts.put_many(
        [{"name": "a", "data": b"", "derived_from": [info.id]}, {"name": "b", "data": b""}]
    )
    assert [one.ok for one in report] == [False, True]
    assert report.items[0].error.code == "artifact-denied"
    assert [one.action for one in store.artifacts.audit(info.id)] == ["denied"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("plan.md", "nobody"), "invalid-id"),
        (("plan.md", "01900000-0000-7000-8000-000000000000"), "session-not-found"),
        (("none", "GUEST"), "artifact-not-found"), (("plan.md", "GUEST", "own"), "invalid-right"),
        (("plan.md", "GUEST", 5), "invalid-right"), (("plan.md", "OWNER"), "own-session"),
        (("plan.md", "GUEST", "read", 0), "invalid-ttl"), (("plan.md", "GUEST", "read", float("nan")), "invalid-ttl"),
    ],
)  # fmt: skip
def test_a_grant_that_makes_no_sense_is_refused_by_name(owner, guest, info, store, arguments, expected):
    name, session, *rest = arguments
    session = {"GUEST": guest.id, "OWNER": owner.id}.get(session, session)
    before = store.stats()["last_seq"]
    expires = {"expires_in_s": rest[1]} if len(rest) > 1 else {}
    assert code(lambda: owner.artifacts.grant(name, session, *rest[:1], **expires)) == expected
    assert store.stats()["last_seq"] == before
