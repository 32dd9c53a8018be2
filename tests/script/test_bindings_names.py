"""Every function exists under each of its names, in both styles; what is missing says so by name."""

import itertools

import pytest

from llmspell.operations import table
from llmspell.operations.operation import Effect
from llmspell.operations.types import camel
from tests.script.running import failure, lua, value
from tools import make_scripting


def test_every_name_of_every_operation_is_a_function_of_scripts():
    wanted = [f"{operation.namespace}.{name}" for operation in table.OPERATIONS for name in operation.script_names]
    checks = "".join(f"if type({name}) ~= 'function' then missing[#missing + 1] = '{name}' end\n" for name in wanted)
    assert value(f"local missing = array{{}}\n{checks} return missing") == []
    assert len(wanted) > 150


def test_every_name_is_there_in_both_naming_styles():
    for operation in table.OPERATIONS:
        for name in operation.names:
            assert {name, camel(name)} <= set(operation.script_names)


def test_no_name_means_two_operations():
    for space, names in table.bindings().items():
        assert not set(names) & set(table.ABSENT.get(space, ())), space


@pytest.mark.parametrize(
    "call", ["State.create_backup()", "State.createBackup()", "Session.replay('x')", "Session.canReplay('x')",
             "Artifact.export{}", "Event.query{}"],
)  # fmt: skip
def test_a_function_of_a_later_version_is_refused_by_name(call):
    error = failure(call)
    assert error.code == "not-available"
    assert f"{call.partition('(')[0].partition('{')[0]} is not available in this version" in error.message


@pytest.mark.parametrize(
    "call", ["Agent.create{}", "Replay.modes.exact:name()", "Workflow.sequential{}", "Tool.list()"]
)
def test_a_namespace_of_a_later_version_is_refused_by_name(call):
    error = failure(call)
    assert error.code == "not-available"
    assert call.partition(".")[0] in error.message


def test_namespaces_cannot_be_overwritten():
    assert failure("State.get = nil").code == "read-only"
    assert failure("Session.state.get = nil").code == "read-only"


def test_the_annotations_and_the_reference_are_current():
    assert make_scripting.main(["--check"]) == 0


def test_the_reference_names_every_spelling():
    page = make_scripting.reference()
    for operation in table.OPERATIONS:
        assert f"### `{operation.title}`" in page
        for name in operation.script_names[1:]:
            assert f"`{name}`" in page


def test_the_annotations_are_lua():
    declarations = make_scripting.declarations()
    assert lua(f"local function all()\n{declarations}\nend\nreturn 1").value == 1


def test_operations_say_what_they_give_and_do():
    for operation in table.OPERATIONS:
        assert operation.doc.endswith(".")
        assert operation.returns
        for one, other in itertools.combinations(operation.forms, 2):
            assert one != other, operation.title


def test_what_lives_in_the_process_is_local_and_nothing_else():
    local = {operation.title for operation in table.OPERATIONS if operation.effect is Effect.LOCAL}
    assert local == {"Session.set_current", "Hook.register", "Hook.unregister", "Event.subscribe", "Event.on",
                     "Event.unsubscribe"}  # fmt: skip


@pytest.mark.parametrize(
    "call, said",
    [
        ("State.get()", "State.get: called with no arguments; it takes State.get(key) or State.get(scope, key)"),
        ("State.get(1)", "State.get: argument 1 (key): expected text that is not empty, got an integer (1)"),
        ("State.get({}, 'k')", "State.get: argument 1 (scope): expected a scope"),
        ("State.set('k', print)", "State.set: argument 2 (value): expected data, got a function"),
        ("State.set('k', {print})", "State.set: argument 2[1]: a function is not data"),
        (
            "State.set('global', 'k', 1, {ttl = 'x'})",
            "State.set: argument 4 (options.ttl): expected a number, got text",
        ),
        ("State.set('global', 'k', 1, {tll = 1})", "there is no option 'tll'; did you mean 'ttl'?"),
        ("Session.create{nmae = 'x'}", "there is no option 'nmae'; did you mean 'name'?"),
        ("Session.create{tags = {'a', 1}}", "options.tags[2]"),
        ("Session.list{limit = 1.5}", "options.limit): expected a whole number, got a number (1.5)"),
        ("Event.receive('sub-1', -1)", "expected milliseconds, 0 or more, got an integer (-1)"),
        ("Hook.register('before_state_set', 'x')", "expected a function, got text ('x')"),
        ("Artifact.store('a', 'b')", "Artifact.store: called with 2 arguments; it takes"),
        ("Event.publish{data = 1}", "the field 'type' is missing"),
        ("Utils.sleep('long')", "expected milliseconds"),
    ],
)
def test_a_wrong_argument_is_refused_with_function_argument_and_what_was_expected(call, said):
    error = failure(call)
    assert said in error.message, error.message
    assert error.code in {"invalid-argument", "not-convertible"}


def test_bytes_are_no_data():
    error = failure("State.set('k', '\\255\\254')")
    assert error.code == "invalid-argument"
    assert "Utils.base64_encode" in error.message


def test_a_field_of_options_is_given_once():
    assert "given twice" in failure("Session.create{parent = 'a', parent_session_id = 'b'}").message


def test_option_fields_have_both_styles():
    assert value("local id = Session.create{name = 'n', createdBy = 'me'} return Session.get(id).created_by") == "me"
