"""The printed table and the JSON of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.harness import Budget, Comparison, Result, Row

WIDTH = 132


@dataclass(slots=True)
class Measured:
    """One row after it ran: its result, or the reason there is none."""

    row: Row
    result: Result | None
    reason: str = ""
    failed: bool = False
    spent_s: float = 0.0

    def lines(self) -> Iterable[tuple[Comparison, Budget | None, str]]:
        """Each comparison with its budget and verdict; budgets that nothing was measured for come last."""
        comparisons = self.result.comparisons if self.result else []
        for comparison in comparisons:
            budget = self.row.budgets.get(comparison.against)
            yield comparison, budget, verdict(comparison, budget)
        for against, budget in self.row.budgets.items():
            if all(comparison.against != against for comparison in comparisons):
                missing = Comparison(against, self.row.durability, note=self.reason or "not measured")
                yield missing, budget, "not measured"


def verdict(comparison: Comparison, budget: Budget | None) -> str:
    """``kept``, ``MISSED``, ``not measured``, or nothing where no budget was set; by the median of the rounds."""
    if budget is None:
        return ""
    if comparison.value is None:
        return "not measured"
    return "kept" if budget.kept(comparison.value) else "MISSED"


def unsteady(comparison: Comparison, budget: Budget | None) -> bool:
    """Whether the quartiles of the rounds lie on both sides of the budget: another run may decide the other way."""
    if budget is None or comparison.spread is None:
        return False
    low, high = comparison.spread
    return budget.kept(low) != budget.kept(high)


@dataclass(slots=True)
class Report:
    """A run: the machine's facts and the rows in the order they ran."""

    machine: dict[str, Any]
    rows: list[Measured] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """How many budgets were kept, missed and not measured."""
        counts = {"kept": 0, "MISSED": 0, "not measured": 0}
        for measured in self.rows:
            for _, _, outcome in measured.lines():
                if outcome:
                    counts[outcome] += 1
        return counts

    def to_json(self) -> str:
        """The whole run as JSON, budgets and verdicts included."""
        rows = [
            {
                "name": measured.row.name,
                "title": measured.row.title,
                "group": measured.row.group,
                "durability": measured.row.durability,
                "figure": asdict(measured.result.figure) if measured.result and measured.result.figure else None,
                "note": measured.result.note if measured.result else "",
                "reason": measured.reason,
                "spent_s": round(measured.spent_s, 2),
                "comparisons": [
                    asdict(comparison)
                    | {"budget": str(budget) if budget else None, "verdict": outcome}
                    | {"unsteady": unsteady(comparison, budget)}
                    for comparison, budget, outcome in measured.lines()
                ],
            }
            for measured in self.rows
        ]
        return json.dumps({"machine": self.machine, "counts": self.counts(), "rows": rows}, indent=1)


def header(machine: dict[str, Any]) -> str:
    """What the run was measured on, and how to read the table."""
    sync = machine["fdatasync_us"]
    packages = ", ".join(f"{name} {found or '(not installed)'}" for name, found in machine["packages"].items())
    system = f"{machine['system']}, {machine['processors']} processors, load {machine['load']:.2f}"
    syncs = f"{sync['p50']:g} µs (p10 {sync['p10']:g}, p90 {sync['p90']:g})"
    lines = [
        f"{machine['at']}  {system}, Python {machine['python']}",
        f"{machine['file_system']}; pwrite + fdatasync of 512 B: {syncs}",
        f"SQLite {machine['sqlite_ours']} (ours, bare), {machine['sqlite_peers']} (peers: this Python's own)",
        packages,
        "Durability: full = on disk before the call returns; process = survives a kill, not a power loss.",
        "A ratio is the median over rounds in which the sides take turns; ↓ lower is better, ↑ higher is better.",
        "~ marks a verdict that another run may turn: the quartiles of the rounds lie on both sides of the budget.",
    ]
    if machine["file_system"] in {"tmpfs", "ramfs"}:
        lines.append("NOTE: this folder is in memory; `full` rows say nothing here. Use --folder on a disk.")
    return "\n".join(lines)


def block(measured: Measured) -> str:
    """One row as printed: the title with our figure, then a line per comparison."""
    row, result = measured.row, measured.result
    figure = str(result.figure) if result and result.figure else "–"
    lines = [f"{row.title:<72} {_shown(row.durability):<8} {figure:>14}"]
    if measured.reason:
        lines[0] += f"   {'FAILED: ' if measured.failed else 'skipped: '}{measured.reason}"
    for comparison, budget, outcome in measured.lines():
        if measured.result is None and comparison.value is None:
            continue
        lines.append(_line(comparison, budget, outcome))
    if result and result.note:
        lines.append(f"    {result.note}")
    return "\n".join(lines)


def _line(comparison: Comparison, budget: Budget | None, outcome: str) -> str:
    figure = str(comparison.figure) if comparison.figure else ""
    unit = budget.unit if budget else "x"
    value = "" if comparison.value is None else f"{comparison.value:.2f} {unit} {comparison.direction}"
    bound = str(budget) if budget else ""
    if unsteady(comparison, budget) and comparison.spread:
        outcome += " ~ quartiles {:.2f} and {:.2f}".format(*comparison.spread)
    strength = _shown(comparison.durability)
    line = f"    {comparison.against:<68} {strength:<8} {figure:>14} {value:>12}  {bound:<9} {outcome}"
    return line.rstrip() + (f"   ({comparison.note})" if comparison.note else "")


def _shown(durability: str) -> str:
    return "" if durability == "-" else durability


def summary(report: Report) -> str:
    """The last lines: budgets kept and missed, each missed one by name."""
    counts = report.counts()
    lines = [
        "=" * WIDTH,
        f"budgets: {counts['kept']} kept, {counts['MISSED']} MISSED, {counts['not measured']} not measured",
    ]
    for measured in report.rows:
        for comparison, budget, outcome in measured.lines():
            if outcome == "MISSED":
                found = f"{comparison.value:.2f}, budget {budget}"
                mark = " ~" if unsteady(comparison, budget) else ""
                lines.append(f"  MISSED {measured.row.name}: {found} (against {comparison.against}){mark}")
            elif outcome == "not measured":
                lines.append(f"  not measured {measured.row.name} (against {comparison.against}): {comparison.note}")
    return "\n".join(lines)
