import pytest

from tools.checks import apply_door

SCHEMA = """
-- The journal itself.
CREATE TABLE entry (seq INTEGER PRIMARY KEY) STRICT;

-- Projection: the current value of each key,
-- with a second line of comment.
CREATE TABLE state (key TEXT) STRICT;

-- Projection, temporal: a session.
CREATE TABLE session (id BLOB) STRICT;
"""
ROOM = "src/llmspell/state/service.py"
DOOR = "src/llmspell/state/projection.py"
WRITES = [
    'SQL = "INSERT INTO state VALUES (1)"',
    'SQL = "insert or replace into main.state values (1)"',
    'SQL = "REPLACE INTO \\"session\\" VALUES (1)"',
    'SQL = "UPDATE session SET id = 1"',
    'SQL = "DELETE FROM state"',
    'SQL = """\n  WITH gone AS (SELECT 1)\n  DELETE\n  FROM state"""',
    'SQL = "DELETE " + "FROM state"',
    'SQL = "UPDATE " + TABLE + " SET key = 1"',
    'SQL = f"DELETE FROM {TABLE}"',
    'SQL = "DELETE FROM %s" % TABLE',
]
READS = [
    'SQL = "SELECT * FROM state"',
    'SQL = "INSERT INTO entry VALUES (1)"',
    'SQL = "INSERT INTO statement VALUES (1)"',
    'SQL = "CREATE TABLE state (key)"',
    'TEXT = "an update: session moved"',
    '"""Docs may say DELETE FROM state."""',
]


@pytest.fixture
def tree(planted):
    planted.plant("src/llmspell/schema/main.sql", SCHEMA)
    return planted


@pytest.mark.parametrize("code", WRITES)
def test_writing_a_projection_outside_apply_is_found(tree, code):
    tree.plant(ROOM, code)
    assert [(name, rule) for name, _, rule in set(tree.findings(apply_door))] == [(ROOM, apply_door.RULE)]


@pytest.mark.parametrize("code", WRITES)
def test_writing_a_projection_in_its_projection_file_is_allowed(tree, code):
    tree.plant(DOOR, code)
    assert tree.findings(apply_door) == []


@pytest.mark.parametrize("code", WRITES)
def test_writing_a_projection_inside_an_apply_function_is_allowed(tree, code):
    body = code.replace("SQL =", "return")
    tree.plant(ROOM, f"async def _apply_one(tx, entry):\n    {body}\n")
    assert tree.findings(apply_door) == []
    tree.plant(ROOM, f"async def put_one(tx, entry):\n    {body}\n")
    assert tree.findings(apply_door) != []


@pytest.mark.parametrize("code", READS)
def test_reading_and_other_tables_are_allowed_anywhere(tree, code):
    tree.plant(ROOM, code)
    assert tree.findings(apply_door) == []


QUERIES = "-- name: get_row\nSELECT 1 FROM state;\n-- name: put_row\nINSERT INTO state VALUES (?);\n"


@pytest.mark.parametrize("use", ['_SQL["put_row"]', 'queries("llmspell.state")["put_row"]'])
@pytest.mark.parametrize("name", [ROOM, "src/llmspell/backup/restore.py"])
def test_a_named_writing_query_is_used_by_projections_only(tree, name, use):
    head = '_SQL = queries("llmspell.state")\n'
    tree.plant("src/llmspell/state/queries.sql", QUERIES)
    tree.plant(DOOR, f"{head}do({use})")
    tree.plant(name, f'{head}do(_SQL["get_row"])')
    assert tree.findings(apply_door) == []
    tree.plant(name, f"{head}do({use})")
    assert tree.findings(apply_door) == [(name, 2, apply_door.RULE)]


def test_another_rooms_table_of_the_same_key_is_no_query(tree):
    tree.plant("src/llmspell/state/queries.sql", QUERIES)
    tree.plant("src/llmspell/hooks/points.py", 'x = TABLE["put_row"]\nself.put_row()\n')
    assert tree.findings(apply_door) == []


def test_a_schema_without_projections_is_itself_a_finding(planted):
    planted.plant("src/llmspell/schema/main.sql", "CREATE TABLE state (key TEXT) STRICT;")
    assert planted.findings(apply_door) == [("src/llmspell/schema/main.sql", 1, apply_door.RULE)]
