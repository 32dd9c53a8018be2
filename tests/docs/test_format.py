"""The page about the format names everything that lies on the disk."""

import re
import sqlite3

import pytest

from llmspell.adapters.sqlite.folder import CURRENT, LOCK
from llmspell.schema import APPLICATION_ID, FORMAT, script
from tools.snippets.__main__ import ROOT

pytestmark = pytest.mark.docs
PAGE = (ROOT / "docs/format.md").read_text("utf-8")


def columns():
    for name in ("main.sql", "content.sql"):
        database = sqlite3.connect(":memory:")
        database.executescript(script(name))
        # What FTS5 keeps for itself is SQLite's format, not ours.
        sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')"
        tables = [row[0] for row in database.execute(sql) if not row[0].startswith("sqlite_")]
        for table in tables:
            yield from ((table, row[1]) for row in database.execute(f"PRAGMA table_info({table})"))
        database.close()


def described(table):
    """What the page says from the table's bold name up to the next one."""
    found = re.findall(rf"\*\*{table}\*\*(.*?)(?=\n\*\*\w+\*\*|\n## |\Z)", PAGE, re.DOTALL)
    return "\n".join(found)


@pytest.mark.parametrize("table, column", sorted(set(columns()) - {("meta", "one")}))
def test_every_table_and_column_is_described(table, column):
    assert f"`{column}`" in described(table)


def test_a_column_that_is_not_described_is_found():
    assert "`no_such_column`" not in described("entry")
    assert described("no_such_table") == ""


@pytest.mark.parametrize("fact", [f"Format {FORMAT}.", f"0x{APPLICATION_ID:08X}", CURRENT, LOCK])
def test_marks_and_names_of_files_are_those_of_the_code(fact):
    assert fact in PAGE
