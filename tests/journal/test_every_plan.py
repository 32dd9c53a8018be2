"""No named query goes through a table that grows: of every one in the package, what the engine makes of it."""

import re
from pathlib import Path

import pytest

import llmspell
from llmspell.schema import later_tables, queries

ROOT = Path(llmspell.__file__).parent
QUERIES = {
    (package, name): sql
    for package in sorted(
        ".".join(("llmspell", *path.parent.relative_to(ROOT).parts)) for path in ROOT.rglob("queries.sql")
    )
    for name, sql in queries(package).items()
}
SMALL = {
    "access_boundary": "a row for each custom boundary",
    "access_cut_off": "a row for each principal that is cut off",
    "artifact_quota": "a row for each session with a quota",
    "migration": "a row for each registered migration",
    "migration_run_open": "one at most",
    "schema_binding_open": "a row for each binding",
}
WHOLE = {
    ("llmspell.artifacts", "blob_totals"): "statistics",
    ("llmspell.artifacts", "lost_content"): "verify",
    ("llmspell.artifacts", "used_in_store"): "once, when a quota is set",
    ("llmspell.artifacts.finding", "check_page"): "verify, page by page",
    ("llmspell.artifacts.finding", "index_counts"): "verify",
    ("llmspell.artifacts.finding", "words_after"): "verify, page by page",
    ("llmspell.migration", "count"): "the estimate of a plan over all scopes",
    ("llmspell.artifacts.captures", "sealed"): "asked once, when a keyring that may be needed is not there",
    ("llmspell.migration", "sealed"): "whether the key opens what a plan over all scopes migrates",
    ("llmspell.sessions", "stray_terms"): "verify",
    ("llmspell.sessions", "stray_words"): "verify",
}
"""Queries that are about everything, and who asks them."""
BEGUN = {
    ("llmspell.artifacts", "brief"): "its condition follows in the code",
    ("llmspell.artifacts", "info"): "its condition follows in the code",
    ("llmspell.sessions", "info"): "its condition follows in the code",
    ("llmspell.artifacts.finding", "as_of"): "the scan is of a subquery's one row",
}
_SCAN = re.compile(r"^SCAN (?P<table>\w+)(?: USING (?:COVERING )?INDEX (?P<index>\w+))?(?P<virtual> VIRTUAL .*)?")
_ANSWERED = re.compile(r"INDEX (?:0:=|1:|\d+:M\d|267:)$")
"""Virtual tables: by rowid, the values of one array, words that match, one word."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    with llmspell.open(tmp_path_factory.mktemp("plans") / "store") as store:
        store.state.set("k", 1)
        for made_later in dict.fromkeys(later_tables().values()):
            store._store._files.engine.writer.execute(made_later)

        def explained(sql):
            bare = re.sub(r"'[^']*'|--[^\n]*", "", sql)
            numbered = [int(number) for number in re.findall(r"\?(\d+)", bare)]
            count = max(numbered) if numbered else bare.count("?")
            explain = f"EXPLAIN QUERY PLAN {sql}"
            return [row[3] for row in store._store._files.engine.read(lambda view: view.all(explain, (None,) * count))]

        yield explained


def scans(steps):
    """Steps that go through a whole table."""
    for step in steps:
        found = _SCAN.match(step)
        if found is None or (found["virtual"] and _ANSWERED.search(step)):
            continue
        if not step.startswith(("SCAN CONSTANT", "SCAN (")) and not SMALL.keys() & {found["table"], found["index"]}:
            yield step


def is_whole(sql):
    """Whether it is a statement, and not a part of one that the code puts together."""
    lines = [line for line in sql.splitlines() if not line.startswith("--")]
    return re.match(r"(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b", lines[0]) and "{" not in sql


@pytest.mark.parametrize("package, name", [key for key, sql in QUERIES.items() if is_whole(sql)])
def test_a_named_query_goes_through_no_table_that_grows(plan, package, name):
    steps = plan(QUERIES[package, name])
    if (package, name) in WHOLE | BEGUN:
        assert list(scans(steps)), "it goes through nothing: take it from the list"
    else:
        assert not list(scans(steps))


def test_a_query_that_goes_through_a_table_is_found(plan):
    assert list(scans(plan("SELECT count(*) FROM state WHERE value = ?")))
