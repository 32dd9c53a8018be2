"""The command: choose rows, run them one after the other, print each as it is done."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from benchmarks import machine
from benchmarks.harness import ROWS, Bench, Result, Row, Skipped
from benchmarks.report import WIDTH, Measured, Report, block, header, summary
from benchmarks.rows import load_all


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen rows. Exit status: 0 when every row could run, 1 when one failed, 2 on wrong usage.

    A missed budget is a finding, not a failure: with ``--strict`` it ends with 3.
    """
    options = _parser().parse_args(arguments)
    load_all()
    chosen = [row for row in ROWS.values() if not options.only or any(word in row.name for word in options.only)]
    if options.list:
        print("\n".join(f"{row.name:<44} {row.durability:<8} {row.title}" for row in chosen))
        return 0
    if not chosen:
        print(f"no row is named like {options.only}; see --list", file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")  # peers warn about their own deprecations; nothing of ours is under test here
    folder = Path(tempfile.mkdtemp(prefix="llmspell-bench-", dir=options.folder))
    try:
        report = _run(chosen, Bench(folder, options.mode))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        options.json.write_text(report.to_json() + "\n", encoding="utf-8")
    print(summary(report))
    if any(measured.failed for measured in report.rows):
        return 1
    return 3 if options.strict and report.counts()["MISSED"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--quick", dest="mode", action="store_const", const="quick", help="a minute: does it run")
    mode.add_argument("--full", dest="mode", action="store_const", const="full", help="the long rows at full size")
    parser.add_argument("--only", action="append", metavar="NAME", help="rows whose name contains NAME (repeatable)")
    parser.add_argument("--list", action="store_true", help="name the rows and stop")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the run as JSON")
    parser.add_argument("--folder", type=Path, help="where to put the stores (a disk, not tmpfs)")
    parser.add_argument("--strict", action="store_true", help="exit 3 when a budget is missed")
    parser.set_defaults(mode="default")
    return parser


def _run(rows: list[Row], bench: Bench) -> Report:
    report = Report(machine.facts(bench.folder))
    print(header(report.machine), flush=True)
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            print(f"\n{group} {'-' * (WIDTH - len(group) - 1)}", flush=True)
        measured = _measure(row, bench)
        report.rows.append(measured)
        print(block(measured), flush=True)
        for path in bench.folder.iterdir():
            shutil.rmtree(path, ignore_errors=True)
    return report


def _measure(row: Row, bench: Bench) -> Measured:
    start = time.monotonic()
    result: Result | None = None
    reason, failed = "", False
    try:
        result = row.run(bench)
    except Skipped as why:
        reason = str(why)
    except Exception as error:  # noqa: BLE001 - one broken row must not hide the others; it is reported and fails the run
        traceback.print_exc()
        reason, failed = f"{type(error).__name__}: {error}".partition("\n")[0], True
    return Measured(row, result, reason, failed, time.monotonic() - start)
