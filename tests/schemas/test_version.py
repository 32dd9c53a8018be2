"""Versions: exactly those of semver.org, in its order."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.errors import InvalidInput
from llmspell.schemas.version import Requirement, Version

numbers = st.integers(0, 30).map(str)
marks = st.lists(st.one_of(numbers, st.from_regex(r"[0-9]{0,2}[a-zA-Z-][0-9a-zA-Z-]{0,3}", fullmatch=True)), max_size=3)
builds = st.lists(st.from_regex(r"[0-9A-Za-z-]{1,4}", fullmatch=True), max_size=2)
versions = st.tuples(st.lists(numbers, min_size=3, max_size=3), marks, builds).map(
    lambda parts: (
        ".".join(parts[0])
        + (f"-{'.'.join(parts[1])}" if parts[1] else "")
        + (f"+{'.'.join(parts[2])}" if parts[2] else "")
    )
)


@given(versions)
def test_a_version_is_written_as_it_was_read(text):
    assert str(Version.parse(text)) == text


@given(versions, versions)
def test_two_versions_are_equal_only_if_their_texts_are_and_else_one_is_older(one, other):
    first, second = Version.parse(one), Version.parse(other)
    assert (first == second) == (one == other)
    assert (first < second) + (first > second) + (first == second) == 1


def test_the_order_is_that_of_the_standard():
    ordered = ["0.0.9", "0.9.0", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta"]
    ordered += [
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.9.0",
        "1.10.0",
        "2.0.0",
    ]
    assert all(Version.parse(one) < Version.parse(other) for one, other in pairwise(ordered))


@pytest.mark.parametrize("text", [
    *["", "1", "1.0", "1.0.0.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0-a..b", "1.0.0+", " 1.0.0", "1.0.0\n"],
    *["1.0.0-ä", "1.٠.0", "1.0.0+a+b", "-1.0.0", "1." + "9" * 200 + ".0", None, 1, 1.0, b"1.0.0"],
])  # fmt: skip
def test_what_is_no_version_is_refused(text):
    with pytest.raises(InvalidInput) as refused:
        Version.parse(text)
    assert refused.value.code == "invalid-version"
    if not isinstance(text, str) or text == text.strip():
        with pytest.raises(InvalidInput):
            Requirement.parse(f"^{text}" if isinstance(text, str) else text)


@pytest.mark.parametrize(("text", "admitted", "refused"), [
    ("*", ["0.0.1", "9.9.9", "1.0.0-a"], []),
    ("1.2.0", ["1.2.0"], ["1.2.1", "1.2.0-a", "1.2.0+b"]),
    ("==1.2.0", ["1.2.0"], ["1.3.0"]),
    (">=1.2.0, <3.0.0", ["1.2.0", "2.9.9", "3.0.0-a"], ["1.1.9", "3.0.0"]),
    (">1.0.0,<=2.0.0", ["1.0.1", "2.0.0"], ["1.0.0", "2.0.1"]),
    ("^1.2.0", ["1.2.0", "1.9.0"], ["1.1.9", "2.0.0", "2.0.0-a"]),
    ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0", "0.2.2", "1.0.0"]),
])  # fmt: skip
def test_a_requirement_admits_what_it_says(text, admitted, refused):
    requirement = Requirement.parse(text)
    assert all(requirement.admits(Version.parse(one)) for one in admitted)
    assert not any(requirement.admits(Version.parse(one)) for one in refused)


def test_a_line_is_a_major_or_below_one_a_minor():
    assert Version.parse("1.2.3").line == Version.parse("1.0.0").line != Version.parse("2.0.0").line
    assert Version.parse("0.2.3").line == Version.parse("0.2.0").line != Version.parse("0.3.0").line
