"""Globs over event types: what each wildcard means, what is refused, and that no pattern can stall the store."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmspell.errors import InvalidInput
from llmspell.events import patterns
from llmspell.events.patterns import check_event_type, compile_pattern


def matches(pattern, type, resolve=lambda name: ()):
    return compile_pattern(pattern, resolve=resolve).matches(type)


@pytest.mark.parametrize(
    "pattern, yes, no",
    [
        (
            "state.set",
            ["state.set"],
            ["state.sets", "state.se", "State.set", "a.state.set", "state.set.x", "stateXset"],
        ),
        ("*", ["a", "abc"], ["a.b", ""]),
        ("session.*", ["session.created"], ["session", "session.a.b", "sessions.a", "session."]),
        ("*.error", ["tool.error"], ["error", "a.b.error", ".error"]),
        ("**", ["a", "a.b", "a.b.c"], ["", "a..b", ".", "a.", ".a"]),
        ("a.**", ["a", "a.b", "a.b.c"], ["ab", "b.a"]),
        ("**.a", ["a", "b.a", "c.b.a"], ["ba", "a.b"]),
        ("a.**.z", ["a.z", "a.b.z", "a.b.c.z", "a.z.z"], ["a", "z", "az", "a.b", "a.bz"]),
        ("**.a.**.b.**", ["a.b", "x.a.x.b.x", "a.a.b"], ["b.a", "a", "ab"]),
        ("a.?", ["a.b"], ["a", "a.", "a.bc", "a.b.c", "a.."]),
        ("[abc]", ["a", "b"], ["d", "ab", "."]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[!a-c]", ["d", "é"], ["a", "b", ".", ""]),
        ("a[!b]c", ["axc"], ["abc", "a.c"]),
        ("a[+-9]c", ["a0c", "a/c"], ["a.c"]),  # the range spans the dot
        ("[a-]", ["a", "-"], ["b"]),
        ("[^a]", ["^", "a"], ["b"]),
        ("{a,b}.c", ["a.c", "b.c"], ["c.c", "a", "a,b.c"]),
        ("x.{a.b,c.*}", ["x.a.b", "x.c.q"], ["x.a", "x.c"]),
        ("{a,{b,c}d}", ["a", "bd", "cd"], ["ad", "b"]),
        ("x{a,b}{1,2}", ["xa1", "xb2"], ["xa", "x1"]),
        ("err*", ["err", "error"], ["xerr", "err.x", "er"]),
        ("*or", ["or", "error"], ["ors", "x.or"]),
        ("e*r*r", ["err", "error", "exrxr"], ["er", "error."]),
        ("a+b.(c)", ["a+b.(c)"], ["aab.c", "a+bx(c)"]),  # what regular expressions give a meaning to
    ],
)
def test_each_wildcard_means_what_is_documented(pattern, yes, no):
    assert [type for type in yes if not matches(pattern, type)] == []
    assert [type for type in no if matches(pattern, type)] == []


@pytest.mark.parametrize(
    "pattern, rule",
    [
        ("", "empty-segment"),
        (".", "empty-segment"),
        ("a..b", "empty-segment"),
        (".a", "empty-segment"),
        ("a.", "empty-segment"),
        ("{a.,b}.c", "empty-segment"),
        ("a.***", "stars"),
        ("a**", "stars"),
        ("**a.b", "stars"),
        ("{a,*}*", "stars"),
        ("[", "class"),
        ("[abc", "class"),
        ("[]", "class"),
        ("[!]", "class"),
        ("[z-a]", "class"),
        ("[a.b]", "class"),
        ("[a[b]", "class"),
        ("[a b]", "class"),
        ("{a", "braces"),
        ("{a,b", "braces"),
        ("{a,{b}", "braces"),
        ("a}", "braces"),
        ("{}", "braces"),
        ("{a,}", "braces"),
        ("{,a}", "braces"),
        ("a,b", "character"),
        ("a]", "character"),
        ("a b", "character"),
        ("a\n", "character"),
        ("a\0b", "character"),
        ("a\\b", "character"),
        ("a\N{NO-BREAK SPACE}b", "character"),
        ("x" * 257, "length"),
        ("{a,b}" * 7, "expansion"),
        ("y" * 120 + "{a,b,c,d,e,f,g,h}" * 2, "expansion"),
        (7, "type"),
        (None, "type"),
        (b"a", "type"),
    ],
)
def test_a_malformed_pattern_is_refused_and_the_rule_named(pattern, rule):
    with pytest.raises(InvalidInput) as caught:
        compile_pattern(pattern, resolve=lambda name: ())
    assert (caught.value.code, caught.value.details["rule"]) == ("invalid-pattern", rule)


@pytest.mark.parametrize(
    "pattern, type",
    [
        # Each is the longest of its kind, and fails only at the very end.
        (".".join(["**", "a"] * 50), ".".join("a" * 127 + "b")),
        (".".join(["**", "*a*b"] * 30), ".".join(["ab"] * 84)),
        ("*a" * 127 + "*", "a" * 255 + "b"),
        ("*a" * 127 + "b", "a" * 256),
        (".".join(["**", "*"] * 50) + ".x", ".".join("a" * 128)),
        ("a{*a,a*a,?*a}a{*a,a*a,?*a}a" + ".**.*b*b" * 25 + ".z", "a" * 60 + ".bbb" * 47),
        (".".join(["**", "*a*a*a*a*c"] * 18), ".".join(["a" * 20] * 12)),
    ],
)
def test_a_hostile_pattern_is_decided_without_backtracking(pattern, type):
    # A backtracking matcher needs longer than this test's timeout, by many orders of magnitude.
    compiled = compile_pattern(pattern, resolve=lambda name: ())
    for cut in range(len(type)):
        compiled.matches(type[cut:])
    assert not compile_pattern(pattern, resolve=lambda name: ()).matches(type[:250] + ".q")


def compiled_or_refused(pattern):
    try:
        return compile_pattern(pattern, resolve=lambda name: ()), None
    except InvalidInput as refused:
        return None, refused.details["rule"]


def reference(pattern, type):
    """The definition, tried out in every possible way. None for a pattern that is to be refused."""
    verdicts = [_segments(glob.split("."), type.split(".")) for glob in _expand(pattern.replace("**", "§"))]
    return None if None in verdicts else any(verdicts)


def _expand(text):
    inner = re.search(r"\{([^{}]*)\}", text)
    if inner is None:
        return [text]
    before, after = text[: inner.start()], text[inner.end() :]
    return [glob for choice in inner[1].split(",") for glob in _expand(before + choice + after)]


def _segments(globs, segments):
    if any(not glob or "**" in glob or ("§" in glob and glob != "§") for glob in globs):
        return None
    if not globs:
        return not segments
    if globs[0] == "§":
        return any(_segments(globs[1:], segments[n:]) for n in range(len(segments) + 1))
    return bool(segments) and _chars(globs[0], segments[0]) and _segments(globs[1:], segments[1:])


def _chars(glob, text):
    if not glob:
        return not text
    if glob[0] == "*":
        return any(_chars(glob[1:], text[n:]) for n in range(len(text) + 1))
    if not text:
        return False
    if glob[0] == "[":
        inside, _, rest = glob[1:].partition("]")
        members = inside.removeprefix("!").replace("a-c", "abc")
        return ((text[0] in members) != inside.startswith("!")) and _chars(rest, text[1:])
    return glob[0] in (text[0], "?") and _chars(glob[1:], text[1:])


pieces = st.sampled_from(["a", "b", "c", ".", ".", "*", "**", "?", "[ab]", "[!a]", "[a-c]", "[!bc]", ".**."])
sequences = st.recursive(
    st.lists(pieces, min_size=1, max_size=4).map("".join),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: "{" + ",".join(parts) + "}"),
        st.lists(inner, min_size=2, max_size=3).map("".join),
    ),
    max_leaves=8,
)
types = st.lists(st.text("abcd", min_size=1, max_size=4), min_size=1, max_size=6).map(".".join)


@given(sequences, st.lists(types, min_size=1, max_size=8))
@example("{a,**}.b", ["b", "x.y.b", "a.b"])
@example("a.{**,b}", ["a", "a.b"])
@example("**.**", ["a"])
def test_patterns_match_exactly_what_their_definition_says(pattern, some_types):
    compiled, rule = compiled_or_refused(pattern)
    if compiled is None:
        assert rule == "expansion" or reference(pattern, "a") is None
        return
    for type in some_types:
        assert compiled.matches(type) == reference(pattern, type), (pattern, type)


@given(st.text(max_size=300))
def test_any_text_compiles_or_is_refused_by_a_rule(text):
    compiled, rule = compiled_or_refused(text)
    assert compiled.matches("state.set") in (True, False) if compiled else rule


def test_verdicts_and_patterns_are_remembered_within_bounds():
    compiled = compile_pattern("remembered.*", resolve=None)
    assert compile_pattern("remembered.*") is compiled
    for n in range(3 * patterns.VERDICTS_CACHED_MAX):
        assert compiled.matches(f"remembered.{n}")
    assert len(compiled._verdicts) <= patterns.VERDICTS_CACHED_MAX


def test_a_type_longer_than_the_limit_matches_nothing():
    assert not matches("**", "a" * 257)
    assert matches("**", "a" * 256)


def test_a_name_of_the_original_project_means_todays_events_and_itself():
    def resolve(name):
        return {"session:start": ("session.created", "session.resumed")}.get(name, (name,))

    assert [t for t in ("session.created", "session.resumed", "session:start") if not matches(t, t, resolve)] == []
    assert matches("session:start", "session.created", resolve)
    assert matches("session:start", "session:start", resolve)
    assert not matches("session:start", "session.ended", resolve)


def test_the_table_of_names_is_asked_by_default():
    assert compile_pattern("state.changed").matches("state.set")
    assert compile_pattern("session:*").matches("session.created")
    assert not compile_pattern("session:*").matches("state.set")


@pytest.mark.parametrize("type", ["a", "a.b-c_d", "session:start", "Ünï.ß", "x" * 256])
def test_an_event_type_is_what_a_plain_pattern_can_name(type):
    assert check_event_type(type) == type
    assert matches(type, type)


@pytest.mark.parametrize(
    "type, rule",
    [
        ("", "empty-segment"),
        ("a..b", "empty-segment"),
        ("a b", "character"),
        ("a*", "character"),
        ("a\tb", "character"),
        ("x" * 257, "length"),
        (None, "type"),
    ],
)
def test_a_malformed_event_type_is_refused_and_the_rule_named(type, rule):
    with pytest.raises(InvalidInput) as caught:
        check_event_type(type)
    assert (caught.value.code, caught.value.details["rule"]) == ("invalid-event-type", rule)
