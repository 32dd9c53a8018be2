"""Artifact.offer and capture rules, as scripts see them."""

from tests.script.running import failure, go, ran, value

TOKEN = "ghp_Zq7Kx2Vw9Lm4Tn8Rb3YcaB3dE6gH9jK2mN5p"


def test_rules_are_set_and_offers_answered():
    script = """
    local me = Session.get_current()
    Artifact.set_capture_rules{
      {name = 'texts', mime_types = {'text/*'}, tags = {}, metadata = {}}, {name = 'rest', action = 'skip'}}
    Artifact.setCaptureRule({name = 'mine', sources = {'user'}, privacy = 'skip', record_skips = true}, {session = me})
    local text = Artifact.offer('about bees', {source = 'tool', name = 'search', tags = {'t'}})
    local data = Artifact.offer({a = 1}, {source = 'tool'})
    local bytes = Artifact.offer('\\255\\0', {source = 'tool', mime_type = 'text/plain', error = true})
    local secret = Artifact.offer({password = 'hunter2secret'}, {source = 'user'})
    return {text.captured, text.rule, Artifact.get(text.artifact).content, text.artifact.name, data.reason,
      bytes.size, secret.reason, secret.owner, #Artifact.capture_rules(),
      #Artifact.capture_rules{session = me, inherited = true}, Artifact.capture_counts()[1].skipped}
    """
    assert value(script) == [
        True, "texts", "about bees", "tool/search", "rule", 2, "secret-found", "session", 2, 3, 1,
    ]  # fmt: skip


def test_rules_are_moved_and_taken_away():
    script = """
    Artifact.set_capture_rules{{name = 'a'}, {name = 'b'}}
    Artifact.set_capture_rule({name = 'c', sample = 0.5}, {before = 'a'})
    local left = Artifact.remove_capture_rule('b')
    local ok, e = pcall(Artifact.remove_capture_rule, 'b')
    return {left[1].name, left[1].sample, left[2].name, e.code, #Artifact.set_capture_rules{}}
    """
    assert value(script) == ["c", 0.5, "a", "rule-not-found", 0]


def test_an_empty_session_means_the_current_one_and_not_the_store():
    script = """
    Artifact.set_capture_rules({{name = 'mine'}}, {session = ''})
    return {#Artifact.capture_rules(), #Artifact.capture_rules{session = Session.get_current()}}
    """
    assert value(script) == [0, 1]


def test_what_is_wrong_is_told():
    assert failure("Artifact.offer('x', {source = 'nobody'})").code == "invalid-source"
    assert failure("Artifact.offer('x', {})").code == "invalid-argument"
    assert failure("Artifact.set_capture_rules{{name = 'a', regex = 'x'}}").code == "invalid-capture-rule"
    assert failure("Artifact.set_capture_rules{1}").code == "invalid-capture-rule"


def test_a_script_reads_what_was_sealed(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))
    script = f"""
    Artifact.set_capture_rules{{{{name = 'all', privacy = 'seal'}}}}
    local answer = Artifact.offer('use {TOKEN[:4]}' .. '{TOKEN[4:]}', {{source = 'user'}})
    return Artifact.unseal(answer.artifact):sub(5)
    """
    outcome = go(lambda store: ran(store, script), tmp_path / "store")
    assert (outcome.error, outcome.value) == (None, TOKEN)
    recorded = [entry for entry in outcome.entries if entry.kind == "run.recorded"]
    assert recorded
    assert not any(TOKEN.encode() in entry.payload for entry in recorded)


def test_the_record_of_a_run_holds_no_secret_that_was_offered(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))
    script = f"""
    local token = '{TOKEN[:4]}' .. '{TOKEN[4:]}'
    Artifact.offer(token, {{source = 'tool'}})
    Artifact.set_capture_rules{{{{name = 'rule', names = {{'skip'}}, action = 'skip'}}, {{name = 'all'}}}}
    Artifact.offer({{key = token}}, {{source = 'tool', name = 'skip'}})
    Artifact.offer('x', {{source = 'tool', name = 'skip', metadata = {{token = token}}}})
    return Artifact.offer(token, {{source = 'tool'}}).captured
    """
    outcome = go(lambda store: ran(store, script), tmp_path / "store")
    assert (outcome.error, outcome.value) == (None, True)
    assert not any(TOKEN.encode() in (entry.payload or b"") for entry in outcome.entries)
