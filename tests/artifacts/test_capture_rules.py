"""Capture rules as data: what is refused, what they are about, and that none of them can stall or lead astray."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.artifacts.captures.offer import check_offer, is_sampled
from llmspell.artifacts.captures.rule import CaptureRule, artifact_name, matches
from llmspell.errors import InvalidInput
from llmspell.model.artifact_name import check_artifact_name

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=300)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", 1), ("name", "x" * 65), ("action", "keep"), ("sources", "tool"), ("sources", ["tools"]),
        ("sources", [1]), ("names", "a*"), ("names", [""]), ("names", ["x" * 257]), ("names", ["a"] * 17),
        ("names", [1]), ("mime_types", {"a": 1}), ("mime_types", None), ("errors", 1), ("size_min", -1),
        ("size_min", True), ("size_min", 1 << 63), ("size_max", 1.5), ("sample", 1.1), ("sample", -0.1),
        ("sample", float("nan")), ("sample", True), ("sample", "1"), ("seed", 1), ("privacy", "hide"),
        ("privacy", ["keep"]), ("store_as", ""), ("store_as", "../{name}"), ("store_as", "/{name}"),
        ("store_as", "{name"), ("store_as", "{name}}"), ("store_as", "{nobody}"), ("store_as", "{name.__class__}"),
        ("store_as", "{0}"), ("store_as", "{}"), ("store_as", "x" * 200), ("store_as", 1), ("type", ""), ("type", 1),
        ("tags", "t"), ("tags", ["x" * 65]), ("metadata", []), ("metadata", {1: 2}), ("metadata", {"a": {1, 2}}),
        ("count_max", -1), ("count_max", "1"), ("bytes_max", True), ("record_skips", None),
    ],
)  # fmt: skip
def test_a_rule_that_is_none_is_refused_and_names_the_field(field, value):
    with pytest.raises(InvalidInput) as refused:
        CaptureRule.of({"name": "r", field: value})
    assert (refused.value.code, refused.value.details["field"]) == ("invalid-capture-rule", field)


@pytest.mark.parametrize("given_", [None, "r", [], {}, {"sources": ["tool"]}, {"name": "r", "regex": ".*"}, {1: 2}])
def test_what_is_no_rule_at_all_is_refused(given_):
    with pytest.raises(InvalidInput) as refused:
        CaptureRule.of(given_)
    assert refused.value.code == "invalid-capture-rule"


def test_a_bound_above_the_other_is_refused():
    with pytest.raises(InvalidInput) as refused:
        CaptureRule(name="r", size_min=2, size_max=1)
    assert refused.value.details["field"] == "size_max"
    assert CaptureRule(name="r", size_min=2, size_max=2).size_max == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"size_min": 1}, {"size_max": 1}, {"sample": 0.5}, {"seed": "s"}, {"privacy": "keep"}, {"store_as": "x"},
        {"type": "t"}, {"tags": ["t"]}, {"metadata": {"a": 1}}, {"count_max": 1}, {"bytes_max": 1},
    ],
)  # fmt: skip
def test_a_rule_that_skips_has_nothing_that_would_be_ignored(fields):
    with pytest.raises(InvalidInput) as refused:
        CaptureRule.of({"name": "r", "action": "skip", **fields})
    assert refused.value.details["field"] == next(iter(fields))


def test_a_rule_comes_back_as_it_was_given():
    rule = CaptureRule(
        name="r", sources=("tool", "user"), names=("a*",), mime_types=("text/*",), errors=False,
        size_min=1, size_max=9, sample=0.5, seed="s", privacy="keep", store_as="x/{name}", type="log", tags=("t",),
        metadata={"a": [1]}, count_max=3, bytes_max=4, record_skips=True,
    )  # fmt: skip
    assert CaptureRule.of(rule.to_dict()) == rule
    assert CaptureRule.of(rule) is rule
    assert CaptureRule(name="r").to_dict() == {"name": "r"}
    assert CaptureRule.of({"name": "r", "sample": 1, "tags": ["t", "t"]}).to_dict() == {"name": "r", "tags": ["t"]}


def test_conditions_hold_together():
    rule = CaptureRule(
        name="r", sources=("tool",), names=("search_*", "get?"), mime_types=("Text/*", "*/json"), errors=True
    )
    assert rule.is_about("tool", "search_web", "text/plain; charset=utf-8", error=True)
    assert rule.is_about("tool", "getX", "application/JSON", error=True)
    assert not rule.is_about("agent", "search_web", "text/plain", error=True)
    assert not rule.is_about("tool", "Search_web", "text/plain", error=True)
    assert not rule.is_about("tool", "get", "text/plain", error=True)
    assert not rule.is_about("tool", "search_web", "image/png", error=True)
    assert not rule.is_about("tool", "search_web", "text/plain", error=False)
    assert CaptureRule(name="r").is_about("user", "anything", "a/b", error=True)


@pytest.mark.parametrize(
    "pattern", ["*a" * 120 + "b", "*" * 256, "[" * 256, "?*" * 128, "[a-z]*" * 42, "[!" * 128, "(a+)+$"]
)
def test_no_pattern_takes_long(pattern):
    # A matcher that goes back over its stars would not end within anybody's lifetime here.
    rule = CaptureRule(name="r", names=[pattern])
    rule.is_about("tool", "a" * 255, "a/b", error=False)
    assert matches(pattern, "a" * 255) == (pattern == "*" * 256 or pattern in {"?*" * 128, "[a-z]*" * 42})


@given(
    TEXT,
    TEXT,
    st.sampled_from(["{name}", "{source}/{name}", "{rule}/{name}.txt", "a{name}{name}", "{name}/{name}", ".{name}"]),
)
def test_whatever_a_tool_is_called_its_artifact_has_a_name(name, rule, template):
    made = artifact_name(template, "tool", name, rule)
    assert check_artifact_name(made) == made


@pytest.mark.parametrize(
    "name", ["..", "../../etc/passwd", "\\..\\x", "/", "//", ".", "01a1fe3d-facf-7265-9687-319614b90cfb"]
)
def test_names_lead_nowhere(name):
    made = artifact_name("{name}", "tool", name, "r")
    assert ".." not in made
    assert check_artifact_name(made) == made


def offered(content=b"content", source="tool", name="n"):
    return check_offer(content, source=source, name=name, mime_type=None, metadata=None, tags=(), error=False)


def test_a_share_is_about_kept_and_always_decided_alike():
    rule = CaptureRule(name="r", sample=0.25, seed="s")
    heads = [str(number).encode() for number in range(4000)]
    kept = [head for head in heads if is_sampled(rule, offered(), head)]
    assert 850 < len(kept) < 1150
    assert kept == [
        head for head in heads if is_sampled(CaptureRule(name="other", sample=0.25, seed="s"), offered(), head)
    ]
    reseeded = CaptureRule(name="r", sample=0.25, seed="t")
    assert kept != [head for head in heads if is_sampled(reseeded, offered(), head)]
    assert kept != [head for head in heads if is_sampled(rule, offered(name="m"), head)]
    more = CaptureRule(name="r", sample=0.5, seed="s")
    assert all(is_sampled(more, offered(), head) for head in kept), "a larger share takes what a smaller one took"
    assert not is_sampled(CaptureRule(name="r", sample=0), offered(), b"")
    assert is_sampled(CaptureRule(name="r", sample=1), offered(), b"")


def test_what_is_sampled_is_the_same_on_every_machine():
    rule = CaptureRule(name="r", sample=0.5, seed="seed")
    assert [n for n in range(16) if is_sampled(rule, offered(), bytes([n]))] == KEPT


KEPT = [5, 6, 9, 10, 12, 13, 14, 15]


def test_a_pattern_means_a_name_however_its_accents_are_written():
    rule = CaptureRule(name="r", names=["cafe\u0301*"])
    assert rule.is_about("tool", "caf\u00e9-1", "text/plain", error=False)
    assert rule.to_dict()["names"] == ["caf\u00e9*"]
