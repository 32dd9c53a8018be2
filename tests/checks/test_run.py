"""The whole run: one finding of any rule makes it fail, and no module of checks is left out."""

import subprocess
from pathlib import Path

from tools.checks.__main__ import CHECKS, main

ROOT = Path(__file__).resolve().parents[2]


def test_a_finding_of_one_rule_fails_the_whole_run(planted, capsys):
    subprocess.run(["git", "init", "-q", planted.root], check=True)
    planted.plant("src/llmspell/state/service.py", '"""Why."""\n')
    for folder in ("tools", "tests"):
        (planted.root / folder).mkdir()
    assert main([str(planted.root)]) == 0
    planted.plant("src/llmspell/state/service.py", '"""Why."""\nimport apsw\n')
    assert main([str(planted.root)]) == 1
    assert "src/llmspell/state/service.py:2: driver-import: apsw" in capsys.readouterr().out


def test_every_module_of_checks_is_run():
    modules = {path.stem for path in (ROOT / "tools/checks").glob("*.py")}
    support = {"__init__", "__main__", "names", "tree"}
    assert {module.__name__.rpartition(".")[2] for module in CHECKS} == modules - support
