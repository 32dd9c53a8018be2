"""Measuring in a process of its own: memory freed by earlier rows would hide what this one adds.

``measured("benchmarks.rows.cycles:sessions", …)`` runs that function with JSON arguments in a fresh interpreter and
gives its JSON result. What the function raises as :class:`Skipped` is raised here; any other failure is a RuntimeError
with the child's last line, after its traceback on stderr.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

from benchmarks.harness import Skipped

DEADLINE_S = 1800
ROOT = Path(__file__).parents[1]


def measured(function: str, *arguments: Any) -> Any:
    """The result of ``module:function`` called with ``arguments`` in a fresh interpreter."""
    command = [sys.executable, "-m", "benchmarks.child", function, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, cwd=ROOT, check=False)
    if done.returncode != 0 or not done.stdout:
        sys.stderr.write(done.stderr)
        last = (done.stderr.strip().splitlines() or ["no word of why"])[-1]
        raise RuntimeError(f"{function} ended with {done.returncode}: {last}")
    answer = json.loads(done.stdout.splitlines()[-1])
    if "skipped" in answer:
        raise Skipped(answer["skipped"])
    return answer["result"]


def _main() -> int:
    module, _, name = sys.argv[1].partition(":")
    warnings.simplefilter("ignore")
    try:
        answer = {"result": getattr(importlib.import_module(module), name)(*json.loads(sys.argv[2]))}
    except Skipped as why:
        answer = {"skipped": str(why)}
    except Exception:  # noqa: BLE001 - printed for the parent, which raises
        traceback.print_exc()
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(_main())
