"""Checks the import contracts of pyproject.toml, and that each of them can fail.

``python -m tools.contracts`` first judges the checkout. Then it plants one violation after another in a temporary copy
of the package and demands that the contract meant to catch it is reported broken, and that the copy without a
violation is not. A contract that lists the wrong names passes for ever; this is how we would notice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS = "Imports point downwards, and rooms do not see each other"
WIRING = "Only the wiring knows the adapters"
TESTING = "The package does not lean on its test support"
ANY_FAILURE = ""


@dataclass(frozen=True, slots=True)
class Violation:
    """A file to plant below ``src/llmspell``, and the contract that must be broken by it."""

    name: str
    code: str
    contract: str


VIOLATIONS = (
    Violation("model/planted.py", "import llmspell.journal", LAYERS),
    Violation("journal/planted.py", "from llmspell import state", LAYERS),
    Violation("state/planted.py", "import llmspell.sessions", LAYERS),
    Violation("hooks/planted.py", "def lazily():\n    from llmspell.events import x", LAYERS),
    Violation("model/planted.py", "import llmspell.store", LAYERS),
    Violation("ports/planted.py", "from ..adapters import sqlite", LAYERS),
    Violation("adapters/planted.py", "import llmspell.artifacts", LAYERS),
    Violation("journal/planted.py", "def lazily():\n    import llmspell.adapters.sqlite", WIRING),
    Violation("script/planted.py", "from llmspell.adapters import sqlite", WIRING),
    Violation("cli/planted.py", "from llmspell import testing", TESTING),
    Violation("rooms/__init__.py", "", ANY_FAILURE),  # a room that no layer lists
)


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """Runs import-linter on the package below ``root/src`` with the contracts of ``root/pyproject.toml``."""
    command = [
        sys.executable,
        "-c",
        "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())",
    ]
    environment = os.environ | {"PYTHONPATH": str(root / "src"), "NO_COLOR": "1"}
    return subprocess.run(
        [*command, "--no-cache"], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def missed(violation: Violation, root: Path) -> str | None:
    """Plants one violation in a copy, takes it out again, and says what import-linter should have said."""
    path = root / "src/llmspell" / violation.name
    new_folder = not path.parent.exists()
    path.parent.mkdir(exist_ok=True)
    path.write_text(violation.code + "\n", encoding="utf-8")
    try:
        result = lint(root)
    finally:
        shutil.rmtree(path.parent) if new_folder else path.unlink()
    wanted = f"{violation.contract} BROKEN" if violation.contract else "not listed"
    if result.returncode == 0 or wanted not in result.stdout:
        return f"planted {violation.name} ({violation.code!r}): no {wanted!r} in\n{result.stdout}{result.stderr}"
    return None


def main() -> int:
    """Exit status 0 when the checkout keeps its contracts and each planted violation was caught."""
    result = lint(ROOT)
    if result.returncode != 0:
        print(result.stdout + result.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        failures = [missed(violation, copy) for violation in VIOLATIONS]
        if lint(copy).returncode != 0:
            failures.append("the copy breaks a contract after all violations were taken out")
    for failure in filter(None, failures):
        print(failure)
    print(
        f"contracts: kept, and {len(VIOLATIONS)} planted violations caught"
        if not any(failures)
        else "contracts: FAILED"
    )
    return 1 if any(failures) else 0


if __name__ == "__main__":
    sys.exit(main())
