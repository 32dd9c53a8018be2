"""Writes the tables of ``docs/performance.md`` from a run: ``python -m benchmarks.page RUN.json docs/performance.md``.

What stands between the two markers is replaced; the prose around it is written by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def markdown(run: dict[str, Any]) -> str:
    """The run as Markdown: what it was measured on, then a table for each part."""
    machine, counts = run["machine"], run["counts"]
    sync = machine["fdatasync_us"]
    packages = ", ".join(f"{name} {found}" for name, found in machine["packages"].items() if found)
    system = f"{machine['system']}, {machine['processors']} processors (load {machine['load']:.1f})"
    syncs = f"{sync['p50']:g} µs in the median, {sync['p10']:g} in the first decile, {sync['p90']:g} in the last"
    lines = [
        f"Measured {machine['at']}: {system}, Python {machine['python']}, {machine['file_system']}.",
        f"One write and fdatasync of 512 bytes took {syncs}.",
        f"SQLite {machine['sqlite_ours']} here, {machine['sqlite_peers']} under the peers. {packages}.",
        "",
        f"**{counts['kept']} budgets kept, {counts['MISSED']} missed, {counts['not measured']} not measured.**",
    ]
    group = ""
    for row in run["rows"]:
        if row["group"] != group:
            group = row["group"]
            lines += ["", f"### {group}", "", "| operation | durability | figure | value | budget | |"]
            lines += ["| --- | --- | ---: | ---: | --- | --- |"]
        lines += _row(row)
    return "\n".join(lines)


def _row(row: dict[str, Any]) -> list[str]:
    note = row["note"] or row["reason"]
    lines = [_cells(f"**{row['title']}**", row["durability"], _figure(row["figure"]), "", "", note)]
    for each in row["comparisons"]:
        if each["figure"] is None and each["value"] is None and row["reason"]:
            continue
        unit = each["budget"].split(" ", 2)[2] if each["budget"] else "x"
        value = "" if each["value"] is None else f"{each['value']:.2f} {unit} {each['direction']}"
        verdict = each["verdict"] + (" ~" if each["unsteady"] else "")
        remark = f" ({each['note']})" if each["note"] else ""
        name = each["against"] + remark
        lines.append(_cells(name, each["durability"], _figure(each["figure"]), value, each["budget"] or "", verdict))
    return lines


def _figure(figure: dict[str, Any] | None) -> str:
    return str(Figure(figure["value"], figure["unit"])) if figure else ""


def _cells(*cells: str) -> str:
    return "| " + " | ".join("" if cell == "-" else cell.strip().replace("|", "\\|") for cell in cells) + " |"


def main(arguments: list[str]) -> int:
    """Replace the figures of the page by those of the run."""
    run, page = Path(arguments[0]), Path(arguments[1])
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        print(f"{page} has no {BEGIN} … {END}", file=sys.stderr)
        return 2
    table = markdown(json.loads(run.read_text(encoding="utf-8")))
    page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
