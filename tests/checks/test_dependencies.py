import pytest

from tools.checks import dependencies

PROJECT = """
[project]
dependencies = ["uuid-utils>=1", "backports.zstd>=1.0; python_version < '3.14'"]
[project.optional-dependencies]
test = ["pytest>=9", "hypothesis>=6"]
web = ["litestar"]
"""
USING_ALL = "import uuid_utils\nfrom backports import zstd\nfrom compression import zstd\nimport os\n"
SRC, TEST = "src/llmspell/model/ids.py", "tests/test_ids.py"


@pytest.fixture
def tree(planted):
    planted.plant("pyproject.toml", PROJECT)
    planted.plant(SRC, USING_ALL)
    planted.plant(TEST, "import pytest\nfrom hypothesis import given\nfrom llmspell import errors\n")
    return planted


def test_declared_and_standard_modules_pass(tree):
    assert tree.findings(dependencies) == []


@pytest.mark.parametrize("code", ["import numpy", "def lazily():\n    from numpy.linalg import norm"])
def test_an_undeclared_import_in_the_package_is_found(tree, code):
    tree.plant("src/llmspell/model/new.py", code)
    assert [rule for _, _, rule in tree.findings(dependencies)] == [dependencies.RULE]


def test_a_namespace_package_is_found_under_the_name_of_its_part(tree):
    tree.plant(SRC, USING_ALL.replace("from backports import zstd", "import backports.zstd.open"))
    assert tree.findings(dependencies) == []
    tree.plant(SRC, USING_ALL + "from backports import tarfile")
    assert tree.findings(dependencies) == [(SRC, 5, dependencies.RULE)]


def test_an_extra_is_declared_for_the_package_but_not_for_the_tests(tree):
    tree.plant("src/llmspell/web/app.py", "import litestar")
    assert tree.findings(dependencies) == []
    tree.plant("tests/test_web.py", "import litestar")
    assert tree.findings(dependencies) == [("tests/test_web.py", 1, dependencies.RULE)]


def test_a_script_of_a_test_imports_what_lies_beside_it(tree):
    tree.plant("tests/crash/worker.py", "import worker_parts")
    assert len(tree.findings(dependencies)) == 1
    tree.plant("tests/crash/worker_parts.py", "")
    assert tree.findings(dependencies) == []


def test_a_module_loaded_by_its_name_is_used(tree):
    tree.plant("pyproject.toml", PROJECT.replace('"uuid-utils>=1"', '"uuid-utils>=1", "lupa>=2.8"'))
    tree.plant("src/llmspell/script/lua/runtime.py", 'MODULES = {"5.4": "lupa.lua54"}')
    assert tree.findings(dependencies) == []


def test_a_requirement_that_nothing_imports_is_found(tree):
    tree.plant("pyproject.toml", PROJECT.replace('"uuid-utils>=1"', '"uuid-utils>=1", "rich>=14"'))
    assert tree.findings(dependencies) == [("pyproject.toml", 3, dependencies.RULE)]
