import pytest

from tools.checks import front_door

ROOM = "src/llmspell/state/service.py"
THROUGH = [
    "from llmspell import Store",
    "def lazily():\n    from llmspell import open",
    "import llmspell",
    "import llmspell.model",
    "from .. import Store",
]
PAST = [
    "from llmspell.errors import NotFound",
    "from llmspell import model",
    "import llmspell.model as m",
    "from . import rows",
    "from llmspell import __version__",
]


@pytest.fixture
def tree(planted):
    planted.plant("src/llmspell/model/__init__.py", "")
    planted.plant("src/llmspell/__init__.py", "from llmspell import Store")
    return planted


@pytest.mark.parametrize("code", THROUGH)
def test_a_room_that_comes_in_by_the_front_door_is_found(tree, code):
    tree.plant(ROOM, code)
    assert [(name, rule) for name, _, rule in tree.findings(front_door)] == [(ROOM, front_door.RULE)]


@pytest.mark.parametrize("code", THROUGH)
@pytest.mark.parametrize(
    "name", ["src/llmspell/cli/main.py", "src/llmspell/demo/run.py", "src/llmspell/testing/suite.py"]
)
def test_what_stands_above_the_wiring_may(tree, name, code):
    tree.plant(name, code)
    assert tree.findings(front_door) == []


@pytest.mark.parametrize("code", PAST)
def test_imports_from_modules_pass(tree, code):
    tree.plant(ROOM, code)
    assert tree.findings(front_door) == []
