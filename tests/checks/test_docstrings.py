import pytest

from tools.checks import docstrings

FILE = "src/llmspell/events/bus.py"
SILENT = [
    "def publish(): ...",
    "async def publish(): ...",
    "class Bus: ...",
    'class Bus:\n    """A bus."""\n    def publish(self): ...',
    'class Bus:\n    """A bus."""\n    class Inner: ...',
    'def publish():\n    """ """',
]
FINE = [
    "def _publish(): ...",
    "class _Bus:\n    def publish(self): ...",
    'class Bus:\n    """A bus."""\n    def __len__(self): ...\n    def _drop(self): ...',
    'def publish():\n    """Sends one event."""\n    def inner(): ...',
    "from typing import overload\n@overload\ndef publish(): ...",
]


@pytest.mark.parametrize("code", SILENT)
def test_a_public_name_without_docstring_is_found(planted, code):
    planted.plant(FILE, f'"""Why."""\n{code}\n')
    assert [rule for _, _, rule in planted.findings(docstrings)] == [docstrings.RULE]


@pytest.mark.parametrize("code", FINE)
def test_private_and_documented_names_pass(planted, code):
    planted.plant(FILE, f'"""Why."""\n{code}\n')
    assert planted.findings(docstrings) == []


def test_a_module_says_why_it_exists(planted):
    planted.plant(FILE, "X = 1\n")
    planted.plant("src/llmspell/events/__init__.py", "")
    planted.plant("src/llmspell/events/_inside.py", "")
    assert [name for name, _, _ in planted.findings(docstrings)] == ["src/llmspell/events/__init__.py", FILE]
