import pytest

from tools.checks import drivers

ROOM = "src/llmspell/journal/read.py"
IMPORTS = [
    "import apsw",
    "import apsw.bestpractice",
    "from apsw import Connection",
    "def lazily():\n    import psycopg",
    "import sqlite3 as database",
    "import importlib\nimportlib.import_module('apsw')",
    "from importlib import import_module\nimport_module('lupa.lua54')",
    "__import__('lupa')",
]


@pytest.mark.parametrize("code", IMPORTS)
def test_a_driver_outside_its_adapter_is_found(planted, code):
    planted.plant(ROOM, code)
    assert [(name, rule) for name, _, rule in planted.findings(drivers)] == [(ROOM, drivers.RULE)]


@pytest.mark.parametrize(
    "name, code",
    [
        ("src/llmspell/adapters/sqlite/connection.py", "import apsw"),
        ("src/llmspell/adapters/postgres/pool.py", "from psycopg import AsyncConnection"),
        ("src/llmspell/script/lua/engine.py", "import lupa.lua54"),
    ],
)
def test_an_adapter_imports_its_driver(planted, name, code):
    planted.plant(name, code)
    assert planted.findings(drivers) == []


def test_one_drivers_home_is_not_anothers(planted):
    planted.plant("src/llmspell/adapters/sqlite/connection.py", "import lupa")
    assert len(planted.findings(drivers)) == 1


def test_a_module_named_alike_is_no_driver(planted):
    planted.plant(ROOM, "from llmspell.adapters import apsw\nimport apswish\nfrom .lupa import x\n")
    assert planted.findings(drivers) == []
