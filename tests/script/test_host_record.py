"""What is written of a run: enough to do it again, and never an effect without its record."""

from blake3 import blake3

from llmspell.script.engine import Limits
from tests.script.running import Dying, go, lua, ran, steps_of


def begun(outcome):
    return next(entry for entry in outcome.entries if entry.kind == "run.started")


def test_the_first_entry_has_everything_to_do_the_run_again():
    source = "return args.n"
    outcome = lua(source, args={"n": 1}, config={"c": 2}, name="s.lua", limits=Limits(instructions=12345))
    data = begun(outcome).data
    assert data["source"] == source
    assert data["source_digest"] == blake3(source.encode()).hexdigest()
    assert (data["args"], data["config"], data["name"], data["mode"]) == ({"n": 1}, {"c": 2}, "s.lua", "script")
    assert data["limits"]["instructions"] == 12345
    engine = data["engine"]
    assert (engine["name"], engine["language_version"]) == ("lua", "5.5")
    assert engine["string_hash_seed"] == engine["seed_hash"]
    assert len(engine["prelude_digest"]) == 64
    assert {"prng_seed", "library_version", "llmspell", "locale"} <= engine.keys()


def test_seeds_differ_from_run_to_run():
    script = "return math.random(1 << 53)"
    assert lua(script).value != lua(script).value


def test_a_step_says_what_was_asked_and_what_came_of_it():
    outcome = lua("State.set('k', {1}) State.get('k') pcall(Session.get, 'nobody')")
    items = {item["path"]: item for item in steps_of(outcome.entries) if item["item"] == "step"}
    unit = next(item for item in steps_of(outcome.entries) if item["item"] == "unit")
    assert (unit["path"], unit["name"], unit["args"], unit["value"]) == ("1", "State.set", ["k", [1]], 1)
    assert [entry.kind for entry in outcome.entries if entry.seq in unit["seqs"]] == ["state.set"]
    assert items["1"]["result"] == 1
    assert (items["2"]["name"], items["2"]["args"], items["2"]["result"]) == ("State.get", ["k"], [1])
    assert items["3"]["error"]["code"] == "session-not-found"


def test_callbacks_stand_at_the_step_during_which_they_ran():
    outcome = lua("Hook.register('before_state_set', function() State.get('x') end) State.set('k', 1)")
    paths = [(item["item"], item["path"]) for item in steps_of(outcome.entries)]
    assert paths[:5] == [("step", "1"), ("call", "2.1"), ("step", "2.1.1"), ("unit", "2"), ("step", "2")]
    call = next(item for item in steps_of(outcome.entries) if item["item"] == "call")
    assert call["own"] is True
    assert call["args"][0]["data"]["key"] == "k"


def test_an_effect_and_its_record_are_one_transaction():
    """Whichever write is the last that succeeds, each effect in the journal has its record beside it."""
    script = """
    Hook.register('after_state_set', function(ctx) if ctx.data.key == 'a' then State.set('nested', 1) end end)
    State.set('a', 1) Event.publish('x.y') local id = Session.create{name = 'n', state = {k = 1}}
    Artifact.store(id, 'data', 'f', 'c') State.set_many{b = 1, c = 2} State.delete('b') Session.complete(id)
    """

    async def cut(store, writes):
        store.journal.database = Dying(store.journal.database, writes)
        return await ran(store, script)

    for writes in range(2, 14):
        outcome = go(lambda store, n=writes: cut(store, n))
        recorded = {seq for item in steps_of(outcome.entries) if item["item"] == "unit" for seq in item["seqs"]}
        effects = {entry.seq for entry in outcome.entries[2:] if not entry.kind.startswith("run.")}
        assert effects == recorded, writes


def test_long_arguments_stand_by_their_digest():
    outcome = lua("State.set('k', ('x'):rep(5000))")
    unit = next(item for item in steps_of(outcome.entries) if item["item"] == "unit")
    assert unit["args"] is None
    assert len(unit["digest"]) == 32


def test_content_is_named_in_the_record_not_copied():
    outcome = lua("local a = Artifact.store('', 'data', 'x', ('y'):rep(100000)) return #Artifact.get(a).content")
    assert outcome.value == 100_000
    assert sum(len(entry.payload) for entry in outcome.entries if entry.kind == "run.recorded") < 10_000


def test_many_steps_are_written_together():
    outcome = lua("for i = 1, 1000 do State.get('k') end")
    assert sum(kind == "run.recorded" for kind in outcome.kinds) == 4 + 1
    assert len([item for item in steps_of(outcome.entries) if item["path"].isdigit()]) == 1000


def test_what_is_held_back_is_written_before_a_long_wait():
    async def work(store):
        written = []

        async def before(seconds):
            written.extend((await store.timeline(kinds=["run.recorded"])).items)

        from llmspell.script.run_host import RunHost

        original = RunHost.sleep
        RunHost.sleep = lambda self, seconds: before(seconds)
        try:
            await ran(store, "State.get('k') Utils.sleep(1000)")
        finally:
            RunHost.sleep = original
        return [item["name"] for entry in written for item in entry.data["items"]]

    assert go(work) == ["State.get"]


def test_everything_belongs_to_the_session_and_is_caused_by_the_run():
    outcome = lua("State.set('k', 1)")
    first = begun(outcome)
    session = outcome.result.session_id.replace("-", "")
    for entry in outcome.entries[outcome.entries.index(first) + 1 :]:
        assert (entry.session.hex(), entry.cause, entry.actor) == (session, first.seq, "script:script.lua")


def test_the_table_of_runs_is_what_a_rebuild_makes():
    async def work(store):
        await ran(store, "State.set('k', 1)")
        await ran(store, "error('x')")
        rows = await store.journal.database.read(
            lambda view: view.all("SELECT status, reason FROM run ORDER BY started_seq")
        )
        return rows, await store.verify()

    rows, report = go(work)
    assert rows == [("finished", None), ("failed", "script.lua:1: x")]
    assert report.ok, report.findings
