"""What the redactor is given: values it would not look through, names that name nothing, finders that are none."""

import asyncio

import pytest

import llmspell
from llmspell import InvalidInput, Redactor

KEY = bytes(range(32))


def test_own_fields_have_names_of_any_script():
    redactor = Redactor(fields=["Пароль", "暗証番号"])
    value = {"пароль": "4711", "暗証番号": "4712", "имя": "ada", "é": "x"}
    assert redactor.redact(value)[0] == {**value, "пароль": "[REDACTED]", "暗証番号": "[REDACTED]"}


@pytest.mark.parametrize(
    "options",
    [{"fields": given} for given in (None, 5, "pin", [5], [""], ["--"], [None])]
    + [{"patterns": given} for given in (["x"], "x", 5)],
    ids=str,
)
def test_what_names_nothing_to_look_for_is_refused(options):
    with pytest.raises(InvalidInput) as refused:
        Redactor(**options)
    assert refused.value.code == "invalid-argument"


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("value", [
    ("password=hunter2!",), b"password=hunter2!", {"password=hunter2!"}, Text("password=hunter2!"), object(),
    {1: "password=hunter2!"}, {"password": Text("hunter2!")}, {"a": [("password=hunter2!",)]}, {Text("a"): 1},
], ids=map(str, range(9)))  # fmt: skip
def test_what_would_not_be_looked_through_is_refused(value):
    with pytest.raises(InvalidInput) as refused:
        Redactor().redact(value)
    assert refused.value.code == "invalid-value"


def test_what_has_no_end_is_refused():
    circle, deep = [], []
    circle.append(circle)
    for _ in range(100_000):
        deep = [deep]
    for value in (circle, deep):
        with pytest.raises(InvalidInput) as refused:
            Redactor().scan(value)
        assert refused.value.code == "value-depth"


@pytest.mark.parametrize("number", [10**5000, -(10**5000), 10**600], ids=["long", "negative", "written"])
def test_numbers_of_any_length_are_looked_at(number):
    value = {"n": number, "password": number, "token": "swordfish"}
    for options in ({}, {"digest_key": KEY}):
        clean, found = Redactor(**options).redact(value)
        assert [one.path for one in found] == ["$.password"]
        assert clean["n"] == number
        assert clean["password"].startswith("[REDACTED")


@pytest.mark.parametrize("given", [5, "secret", Redactor, {"redact": print}], ids=["number", "text", "class", "dict"])
def test_what_is_no_redactor_is_refused_when_the_store_is_opened_and_none_is_made(tmp_path, given):
    async def opened():
        await llmspell.open_async(tmp_path / "s", redactor=given)

    for call in (lambda: llmspell.open(tmp_path / "s", redactor=given), lambda: asyncio.run(opened())):
        with pytest.raises(InvalidInput) as refused:
            call()
        assert refused.value.code == "invalid-argument"
    assert not (tmp_path / "s").exists()
