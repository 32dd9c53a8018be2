"""What is loaded when: the measure behind the budgets of ``llmspell --version`` and ``import llmspell``."""

import json
import subprocess
import sys

HEAVY = {
    "apsw", "asyncio", "blake3", "cyclopts", "lupa", "lz4", "msgspec", "platformdirs", "pyfastcdc", "rich",
    "uuid_utils", "zstandard", "typing", "dataclasses", "inspect",
}  # fmt: skip


def _loaded(code):
    told = "import json\nprint(json.dumps(sorted(set(sys.modules) - before)), file=sys.stderr)"
    report = f"import sys\nbefore = set(sys.modules)\n{code}\n{told}"
    ran = subprocess.run([sys.executable, "-I", "-c", report], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(ran.stderr.splitlines()[-1]))


def test_version_loads_three_modules_of_ours_and_nothing_heavy():
    loaded = _loaded("from llmspell.cli.main import main\nmain(['--version'])")
    assert {name for name in loaded if name.startswith("llmspell")} == {"llmspell", "llmspell.cli", "llmspell.cli.main"}
    assert not HEAVY - {"typing"} & loaded


def test_importing_the_package_loads_nothing_heavy():
    loaded = _loaded("import llmspell")
    assert {name for name in loaded if name.startswith("llmspell")} == {"llmspell"}
    assert not HEAVY - {"typing"} & loaded


def test_a_command_loads_no_other_groups_and_no_tables():
    loaded = _loaded(
        "import os, tempfile\nos.chdir(tempfile.mkdtemp())\nfrom llmspell.cli.main import main\n"
        "assert main(['state', 'set', 'k', '1']) == 0"
    )
    ours = {name for name in loaded if name.startswith("llmspell.cli.")}
    assert "llmspell.cli.state" in ours
    assert (
        not {f"llmspell.cli.{name}" for name in ("session", "artifact", "event", "doctor", "demo", "progress")} & ours
    )
    assert not {"asyncio", "lupa", "rich.table", "rich.progress"} & loaded
