"""Patterns of names: the engine and Python judge each alike, and as a shell does."""

import random
from fnmatch import fnmatchcase

import apsw
import pytest

import llmspell
from llmspell.artifacts.patterns import beginning_of, glob_of, is_exact, matching, runs_of
from llmspell.errors import InvalidInput

NAMES = ("a", "b", "^", "]", "[", "ab", "a[", "-", "!", "*", "a-c", "a]b", "é", "z", "\\", "a?^")
SHAPES = (
    "a*", "[ab]", "[!a]", "[^a]", "[^]", "[]a]", "[!]]", "[", "a[", "[a", "?", "*[*", "[a-b]*", "[!a-b]", "[*]",
    "[^^b]", "[z-a]", "[!z-a]", "[!é-z]", "[^-^]", "[]-a]", "[--0]", "[a-]", "[!-]", "[!", "[!]", "[+-]]",
    "a[?][^^b]", "[\\-^]",
)  # fmt: skip


@pytest.fixture(scope="module")
def engine():
    connection = apsw.Connection(":memory:")
    yield lambda name, pattern: (1,) in connection.execute("SELECT ? GLOB ?", (name, glob_of(pattern)))
    connection.close()


@pytest.mark.parametrize("shape", SHAPES)
def test_patterns_mean_the_same_as_in_a_shell(engine, shape):
    for name in NAMES:
        assert engine(name, shape) == matching(shape)(name) == fnmatchcase(name, shape), name


def test_a_range_that_falls_leaves_the_rest_of_a_class_as_it_is(engine):
    """Where ``fnmatch`` takes a ``!`` behind it for the beginning, and finds all other names."""
    for name in ("^", "a", "c", "?", "-", "!"):
        assert engine(name, "[c-?!-]") == matching("[c-?!-]")(name) == (name in "-!"), name


@pytest.mark.parametrize("seed", range(4))
def test_the_engine_and_python_agree_on_any_pattern(engine, seed):
    rnd = random.Random(seed)
    for _ in range(2000):
        pattern = "".join(rnd.choices("[[]]!^---ab*?cé+z\\", k=rnd.randint(1, 9)))
        name = "".join(rnd.choices("ab]^-!\\c*?[é+_z", k=rnd.randint(1, 4)))
        fits = matching(pattern)(name)
        assert engine(name, pattern) == fits, (pattern, name)
        if fits:
            assert name.startswith(beginning_of(pattern))
            assert all(run in name for run in runs_of(pattern))
        if is_exact(pattern):
            assert fits == (name == pattern)


def test_what_a_pattern_finds_is_deleted_with_it(tmp_path):
    with llmspell.open(tmp_path / "store", durability="process") as store:
        _find_and_delete(store)


def _find_and_delete(store):
    session = store.sessions.create("s")
    for name in ("Résumé", "a^", "b^", "a?^", "-ß"):
        session.artifacts.put(name, b"")
    for pattern in ("Re\u0301*", "Re\u0301sume\u0301", "[^^b][!^]*^", "[z-a]*", "[!é-z]ß", "*[^]"):
        found = store.artifacts.query(name=pattern).items
        assert store.artifacts.delete_matching(name=pattern, dry_run=True) == len(found), pattern
    assert store.artifacts.delete_matching(name="Re\u0301sume\u0301") == 1
    for call in (store.artifacts.delete_matching, store.artifacts.query):
        with pytest.raises(InvalidInput) as refused:
            call(name="")
        assert refused.value.code == "invalid-name"
