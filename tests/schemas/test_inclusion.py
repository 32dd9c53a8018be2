"""Whether one field's values are another's: by rule, against values made by chance and at the edges."""

from hypothesis import HealthCheck, assume, given, settings
from msgspec import UNSET

from llmspell.schemas.checking import completed, problems
from llmspell.schemas.compatibility import compare
from llmspell.schemas.generate import examples, names_in
from llmspell.schemas.inclusion import breaks
from tests.schemas.strategies import fields, json_values, schema_pairs

thorough = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def read(field, value):
    return problems(field, completed(field, value))


@thorough
@given(schema_pairs)
def test_a_reader_without_breaks_reads_every_generated_value(pair):
    old, new = pair
    for writer, reader in ((old.value, new.value), (new.value, old.value)):
        if not list(breaks(writer, reader)):
            for value in examples(writer, count=200, avoid=names_in(reader)):
                assert read(reader, value) == [], value


@thorough
@given(schema_pairs)
def test_every_example_of_a_break_is_written_and_refused(pair):
    old, new = pair
    for writer, reader in ((old.value, new.value), (new.value, old.value)):
        for found in breaks(writer, reader):
            if found.example is not UNSET:
                assert problems(writer, found.example) == [], found
                assert read(reader, found.example) != [], found


@thorough
@given(schema_pairs)
def test_rules_leave_nothing_for_generated_values_to_find(pair):
    assert all(change.what != "value-refused" for change in compare(*pair).changes)


@thorough
@given(fields(), json_values)
def test_a_field_reads_what_it_accepts(field, value):
    assume(problems(field, value) == [])
    assert read(field, value) == []
    assert list(breaks(field, field)) == []
