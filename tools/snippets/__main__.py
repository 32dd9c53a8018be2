"""``python -m tools.snippets [DOCUMENT ...]``: runs the documents named, or README.md and all of docs/."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.snippets.blocks import Malformed, blocks

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 300
KEPT_VARIABLES = frozenset({"LANG", "LC_ALL", "PATH", "SYSTEMROOT", "TMPDIR", "TZ"})


def documents() -> list[Path]:
    """README.md and every Markdown file below docs/, in order of path."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def environment(home: Path) -> dict[str, str]:
    """What a snippet sees of the machine: this Python's programs first, an empty home, plain output."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT_VARIABLES}
    programs = str(Path(sys.executable).parent)
    return kept | {
        "PATH": f"{programs}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "HOME": str(home),
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src"))),  # this tree, whatever is installed
        "PYTHONIOENCODING": "utf-8",
        # A warning in something we tell people to type is a defect. In children of a snippet too.
        "PYTHONWARNINGS": "error",
    }


def problem(document: Path) -> str | None:
    """Runs one document in an empty folder; None when all of it ran as shown, else what went wrong."""
    try:
        runnable = any(block.no_run is None for block in blocks(document.read_text(encoding="utf-8")))
    except Malformed as malformed:
        return str(malformed)
    if not runnable:
        return None
    with tempfile.TemporaryDirectory() as folder:
        home, here = Path(folder, "home"), Path(folder, "here")
        home.mkdir()
        here.mkdir()
        done = subprocess.run(
            [sys.executable, "-m", "tools.snippets.one", str(document)],
            cwd=here,
            env=environment(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    return None if done.returncode == 0 else done.stdout


def main(arguments: list[str]) -> int:
    """Exit status 0 when every block that is to run ran as shown, 1 otherwise. Prints why the others do not run."""
    paths = [Path(argument).resolve() for argument in arguments] or documents()
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        problems = dict(zip(paths, pool.map(problem, paths), strict=True))
    ran = 0
    for path, told in problems.items():
        if told is not None:
            print(f"{path}:\n{told}")
            continue
        for block in blocks(path.read_text(encoding="utf-8")):
            ran += block.no_run is None
            if block.no_run is not None:
                print(f"not run: {path}:{block.line}: {block.no_run}")
    failed = sum(told is not None for told in problems.values())
    print(f"snippets: {ran} blocks ran, {failed} of {len(paths)} documents wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
