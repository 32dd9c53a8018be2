"""Lineage: an artifact with everything it comes from and everything that came of it, as a table, JSON or DOT."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from llmspell.artifacts.relations.walk import STEP_IDS, Edge, packed
from llmspell.model.ids import id_text
from llmspell.ports.database import Reading, Row
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.relations")


@dataclass(frozen=True, slots=True)
class Relation:
    """``source`` is ``kind`` (``derived_from`` …) ``target``; both are ids."""

    source: str
    kind: str
    target: str

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Relative:
    """One artifact of a lineage. ``distance`` is the number of steps from the first: negative towards what it comes
    from, positive towards what came of it.

    ``state`` is ``present``, ``deleted``, ``unknown`` (this store never had it) or ``hidden`` (the session may not read
    it); the other fields are None where they are not known or not shown.
    """

    id: str
    distance: int
    state: str
    session: str | None = None
    name: str | None = None
    version: int | None = None
    type: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Lineage:
    """``nodes`` from the farthest origin to the farthest outcome, ``edges`` among them. ``truncated``: there is more,
    beyond ``limit``.
    """

    artifact: str
    nodes: list[Relative]
    edges: list[Relation]
    truncated: bool

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "artifact": self.artifact, "nodes": [node.to_dict() for node in self.nodes],
            "edges": [edge.to_dict() for edge in self.edges], "truncated": self.truncated,
        }  # fmt: skip

    def to_dot(self) -> str:
        """A graph for Graphviz; edges point from what was there first to what came of it."""
        lines = ["digraph lineage {", "  rankdir=LR;", "  node [shape=box];"]
        for node in self.nodes:
            label = node.id if node.name is None else f"{node.name} v{node.version}"
            if node.state != "present":
                label += f" ({node.state})"
            styles = ['style="dashed"'] if node.state != "present" else []
            styles += ["penwidth=2"] if node.id == self.artifact else []
            lines.append(f"  {_quoted(node.id)} [{', '.join([f'label={_quoted(label)}', *styles])}];")
        edges = (
            f"  {_quoted(edge.target)} -> {_quoted(edge.source)} [label={_quoted(edge.kind)}];" for edge in self.edges
        )
        return "\n".join([*lines, *edges, "}", ""])

    def to_rows(self) -> list[dict[str, Any]]:
        """A table: one row an artifact, with the kinds that lead to it, nearest to the origin first."""
        kinds: dict[str, set[str]] = {}
        for edge in self.edges:
            kinds.setdefault(edge.source, set()).add(edge.kind)
        return [{**node.to_dict(), "relations": sorted(kinds.get(node.id, ()))} for node in self.nodes]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def relatives(
    view: Reading, distances: dict[bytes, int], may_read: Collection[bytes] | None, sign: int = 1
) -> list[Relative]:
    """Artifacts by id, with what the store knows of them, nearest first. ``may_read`` None: all of them."""
    ids = list(distances)
    rows: dict[bytes, Row] = {}
    for at in range(0, len(ids), STEP_IDS):
        some = packed([one.hex() for one in ids[at : at + STEP_IDS]])
        rows |= {row[0]: row for row in view.all(_SQL["last_rows"], (some,))}
    found = []
    for one in ids:
        row, distance = rows.get(one), sign * distances[one]
        if may_read is not None and one not in may_read:
            found.append(Relative(id_text(one), distance, "hidden"))
        elif row is None:
            found.append(Relative(id_text(one), distance, "unknown"))
        else:
            state = "present" if row[5] is None else "deleted"
            found.append(Relative(id_text(one), distance, state, id_text(row[1]), row[2], row[3], row[4]))
    return found


def relation_of(edge: Edge) -> Relation:
    """An edge as it is shown."""
    return Relation(id_text(edge.source), edge.kind, id_text(edge.target))
