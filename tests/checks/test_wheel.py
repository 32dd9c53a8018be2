from tools.wheel import in_tree, problems


def test_a_wheel_with_every_file_of_the_package_is_right():
    assert problems(in_tree(), in_tree()) == []


def test_a_forgotten_kind_of_file_is_found():
    python_only = {name for name in in_tree() if name.endswith(".py")}
    found = problems(in_tree(), python_only)
    assert "missing in the wheel: llmspell/py.typed" in found
    assert "no file .sql in the wheel" in found
    assert "no file .lua in the wheel" in found


def test_a_file_that_does_not_belong_is_found():
    assert problems(in_tree(), in_tree() | {"llmspell/notes.txt"}) == ["only in the wheel: llmspell/notes.txt"]


def test_a_tree_that_lost_them_too_does_not_make_it_right():
    python_only = {name for name in in_tree() if name.endswith(".py")}
    assert "no file llmspell/py.typed in the wheel" in problems(python_only, python_only)
