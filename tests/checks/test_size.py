import pytest

from tools.checks import size

FILE = "src/llmspell/journal/append.py"


def function_of(lines):
    return "async def grown():\n" + "    pass\n" * (lines - 1)


@pytest.mark.parametrize("lines, found", [(400, []), (401, [(FILE, 401, "file-length")])])
def test_a_file_may_have_400_lines(planted, lines, found):
    planted.plant(FILE, "x = 1\n" * lines)
    assert planted.findings(size) == found


@pytest.mark.parametrize("lines, found", [(60, []), (61, [(FILE, 1, "function-length")])])
def test_a_function_may_have_60_lines(planted, lines, found):
    planted.plant(FILE, function_of(lines))
    assert planted.findings(size) == found


@pytest.mark.parametrize("name", ["utils.py", "helpers/text.py", "manager.py", "common.py"])
def test_a_grab_bag_is_found_by_its_name(planted, name):
    planted.plant(f"src/llmspell/state/{name}", "x = 1\n")
    assert [rule for _, _, rule in planted.findings(size)] == ["grab-bag"]
