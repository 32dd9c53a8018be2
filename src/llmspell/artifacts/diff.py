"""What differs between two versions: line by line for text, by path for JSON, by sizes and shared bytes for the
rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from llmspell.artifacts.info import ArtifactInfo
from llmspell.artifacts.lines import Lines
from llmspell.model.values import decode_value

_TEXT_BYTES_MAX = 4 << 20
NO_NEWLINE = "\\ No newline at end of file"
"""Follows a line of a unified diff that is the last of its text and does not end."""


@dataclass(frozen=True, slots=True)
class ArtifactDiff:
    """``kind`` is ``same``, ``text`` (``lines`` is a unified diff), ``json`` (``changes`` by path) or ``binary``. JSON
    that is the same value otherwise written is compared as text. Only a newline ends a line: what else is in it, a
    carriage return before its end too, belongs to it, and a last line that does not end is followed by ``NO_NEWLINE``.

    ``old`` and ``new`` are the infos; ``fields`` are those of type, MIME type, description, tags and metadata that
    differ, by path; ``common_prefix`` and ``common_suffix`` count equal bytes at both ends: what lies between them in
    ``old`` is gone, and in ``new`` it came.
    """

    kind: str
    old: ArtifactInfo
    new: ArtifactInfo
    lines: list[str]
    changes: list[dict[str, Any]]
    common_prefix: int
    common_suffix: int
    fields: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "kind": self.kind,
            "old": self.old.to_dict(),
            "new": self.new.to_dict(),
            "lines": self.lines,
            "changes": self.changes,
            "common_prefix": self.common_prefix,
            "common_suffix": self.common_suffix,
            "fields": self.fields,
            "removed_bytes": self.old.size - self.common_prefix - self.common_suffix,
            "added_bytes": self.new.size - self.common_prefix - self.common_suffix,
        }


def diff_contents(old: ArtifactInfo, new: ArtifactInfo, was: bytes, now: bytes) -> ArtifactDiff:
    """The difference of two contents in memory."""
    prefix, suffix = _common_ends(was, now)
    fields = field_changes(old, new)
    if was == now:
        return ArtifactDiff("same", old, new, [], [], prefix, suffix, fields)
    if "json" in old.mime_type and "json" in new.mime_type:
        try:
            changes = list(json_changes(decode_value(was), decode_value(now)))
            if changes:
                return ArtifactDiff("json", old, new, [], changes, prefix, suffix, fields)
        except (ValueError, RecursionError):
            pass  # No JSON that can be read: it is compared as text below, like values that are only written otherwise.
    if max(len(was), len(now)) <= _TEXT_BYTES_MAX:
        try:
            names = f"{old.name} v{old.version}", f"{new.name} v{new.version}"
            lines = list(text_changes(was.decode(), now.decode(), *names))
            return ArtifactDiff("text", old, new, lines, [], prefix, suffix, fields)
        except UnicodeDecodeError:
            pass  # Not text: bytes are compared.
    return ArtifactDiff("binary", old, new, [], [], prefix, suffix, fields)


def text_changes(was: str, now: str, old_name: str, new_name: str) -> Iterator[str]:
    """The lines of a unified diff, without their ends; none only when the texts are equal."""
    old, new = _lines(was), _lines(now)
    for number, hunk in enumerate(Lines(old, new).get_grouped_opcodes()):
        if not number:
            yield f"--- {old_name}"
            yield f"+++ {new_name}"
        (_, i, _, j, _), (_, _, i_end, _, j_end) = hunk[0], hunk[-1]
        yield f"@@ -{_range(i, i_end)} +{_range(j, j_end)} @@"
        for operation, i, i_end, j, j_end in hunk:
            if operation == "equal":
                yield from _signed(" ", old[i:i_end])
            else:
                yield from _signed("-", old[i:i_end])
                yield from _signed("+", new[j:j_end])


def _range(low: int, high: int) -> str:
    """Lines as a hunk's head counts them: one alone by its number, none by that of the line before."""
    length = high - low
    return f"{low + 1}" if length == 1 else f"{low + 1 if length else low},{length}"


def _signed(sign: str, lines: list[str]) -> Iterator[str]:
    for line in lines:
        if line.endswith("\n"):
            yield sign + line[:-1]
        else:
            yield sign + line
            yield NO_NEWLINE


def _lines(text: str) -> list[str]:
    """With their ends. Not ``splitlines``, to which a form feed or a carriage return ends a line just as well."""
    *ended, last = text.split("\n")
    return [f"{line}\n" for line in ended] + ([last] if last else [])


def field_changes(old: ArtifactInfo, new: ArtifactInfo) -> list[dict[str, Any]]:
    """What differs in how two versions are described."""
    names = "name", "type", "mime_type", "description", "tags", "metadata"
    return list(json_changes({one: getattr(old, one) for one in names}, {one: getattr(new, one) for one in names}))


def json_changes(was: Any, now: Any, path: str = "$") -> Any:
    """Each changed path with ``op`` (added, removed, changed) and the values; 1 and 1.0 and true all differ."""
    if type(was) is dict and type(now) is dict:
        for key in sorted(was.keys() | now.keys()):
            if key not in now:
                yield {"path": f"{path}.{key}", "op": "removed", "old": was[key]}
            elif key not in was:
                yield {"path": f"{path}.{key}", "op": "added", "new": now[key]}
            else:
                yield from json_changes(was[key], now[key], f"{path}.{key}")
    elif type(was) is list and type(now) is list and len(was) == len(now):
        for at, (left, right) in enumerate(zip(was, now, strict=True)):
            yield from json_changes(left, right, f"{path}[{at}]")
    elif type(was) is not type(now) or was != now:
        yield {"path": path, "op": "changed", "old": was, "new": now}


def _common_ends(was: bytes, now: bytes) -> tuple[int, int]:
    short = min(len(was), len(now))
    prefix = first_difference(was[:short], now[:short])
    rest = short - prefix
    suffix = first_difference(was[len(was) - rest :][::-1], now[len(now) - rest :][::-1]) if rest else 0
    return prefix, suffix


def first_difference(left: bytes, right: bytes) -> int:
    """How many bytes at the beginning are equal; of both, or of the shorter one."""
    low, high = 0, len(left)
    while low < high:  # Halving compares at the speed of memcmp.
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
