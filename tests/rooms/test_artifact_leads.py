"""Where queries of artifacts begin: with what few have together, whatever each condition alone would lead to."""

import pytest

from llmspell.artifacts.finding import sources
from llmspell.artifacts.finding.pages import plans
from llmspell.artifacts.finding.terms import term
from llmspell.artifacts.finding.wanted import Conditions
from llmspell.model.limits import METADATA_CONDITIONS_MAX, TAGS_MAX
from tests.rooms.test_artifact_query import index, names

COUNT = 40


@pytest.fixture
def session(face, store, monkeypatch):
    """Artifacts of which more than few have each condition."""
    monkeypatch.setattr(sources, "FEW", 5)
    session = store.sessions.create("s")
    for n in range(COUNT):
        session.artifacts.put(
            f"{n:02}", b"", type="code" if n % 8 else "data", tags=["odd one" if n % 2 else "even one"],
            metadata={"third": ["no", "yes", "no"][n % 3], "n": n % 2, "deep": {"of": ["Größe", str(n % 2)]}},
            description="odd one, even one" if n % 10 == 7 else "bees" if n % 4 == 0 else "",
        )  # fmt: skip
    index(face, store)
    return session


def first_tables(face, store, conditions, order_by=None):
    """The tables of a page in the order in which they are looked at."""
    wanted = Conditions(**conditions).checked(None)
    lines = face.core(store)._files.engine.read(lambda view: plans(view, wanted, order_by))[0]
    return [line.split()[1] for line in lines]


MET = {
    "two tags": ({"tags": ["odd one", "even one"]}, lambda n: False),
    "a tag and a field": ({"tags": ["odd one"], "metadata": {"deep.of": "0"}}, lambda n: False),
    "some": ({"tags": ["odd one"], "metadata": {"third": "yes", "deep.of": "Größe"}}, lambda n: n % 6 == 1),
    "text": ({"tags": ["odd one"], "text": "bees"}, lambda n: False),
    "none of one": ({"tags": ["odd one", "rare"]}, lambda n: False),
    "numbers": ({"tags": ["odd one"], "metadata": {"n": 1.0, "third": "yes"}}, lambda n: n % 6 == 1),
    "type": ({"tags": ["odd one"], "type": "data"}, lambda n: False),
}


@pytest.mark.parametrize("order_by", ["-created_at", "created_at", "name", "-size"])
@pytest.mark.parametrize("case", MET)
def test_what_conditions_have_together_is_found_in_every_order(store, session, case, order_by):
    conditions, fits = MET[case]
    wanted = sorted((f"{n:02}" for n in range(COUNT) if fits(n)), reverse=order_by.startswith("-"))
    assert names(store.artifacts.query(**conditions, order_by=order_by)) == wanted
    assert store.artifacts.count(**conditions).number == len(wanted)


@pytest.mark.parametrize("order_by", [None, "name", "-size"])
def test_conditions_that_many_have_each_and_few_together_begin_with_those_few(face, store, session, order_by):
    assert first_tables(face, store, {"tags": ["odd one", "even one"]}, order_by)[0] == "j"
    assert first_tables(face, store, {"tags": ["odd one"], "metadata": {"third": "yes"}}, order_by)[0] != "j"


@pytest.mark.parametrize("conditions", [
    {"tags": ["odd one"], "type": "code"}, {"tags": ["odd one"], "text": "one", "type": "code"},
    {"name": "*1*", "tags": ["odd one"], "type": "code"}, {"min_size": 0, "tags": ["odd one"], "type": "code"},
    {"tags": ["even one"], "metadata": {"n": 0}},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("order_by", [None, "-size", "name", "updated_at"])
def test_the_row_of_an_artifact_is_read_when_it_has_all_terms(face, store, session, conditions, order_by):
    tables = first_tables(face, store, conditions, order_by)
    terms = [at for at, table in enumerate(tables) if table.startswith("x")]
    assert terms
    assert max(terms) < tables.index("a"), tables


def test_of_terms_that_many_have_each_the_one_that_fewer_have_leads(face, store, session):
    for n in range(18):
        seldom = "seldom" if n % 3 == 0 else "else"
        session.artifacts.put(f"a{n}", b"", type=seldom, tags=["often"])
        session.artifacts.put(f"b{n}", b"", type="often", tags=[seldom])
    index(face, store)
    for conditions, sort in (
        ({"type": "seldom", "tags": ["often"]}, "type"),
        ({"type": "often", "tags": ["seldom"]}, "tag"),
    ):
        wanted = Conditions(**conditions).checked(None)
        _, lead = face.core(store)._files.engine.read(lambda view, wanted=wanted: sources._fewest(view, wanted))
        assert lead.args == (term(sort, b"seldom"),)


def test_as_many_conditions_as_may_be_given_hold_together(face, store):
    tags, metadata = [f"t{n}" for n in range(TAGS_MAX)], {f"k{n}": n for n in range(METADATA_CONDITIONS_MAX)}
    session = store.sessions.create("s")
    session.artifacts.put("all", b"", tags=tags, metadata=metadata)
    session.artifacts.put("most", b"", tags=tags[:-1], metadata=metadata)
    session.artifacts.put("more", b"", tags=tags, metadata=metadata | {"k31": 0})
    index(face, store)
    for more in ({}, {"order_by": "name"}, {"name": "*l*"}, {"text": "k1"}, {"fuzzy": "all"}):
        assert names(store.artifacts.query(tags=tags, metadata=metadata, **more)) == ["all"], more
    assert store.artifacts.count(tags=tags, metadata=metadata).number == 1
