"""Where results go: a table, one thing or a sentence for people; one JSON value for programs.

Results are written to stdout, everything else (notes, progress, errors in text) to stderr. Colour and rich tables are
for terminals; into a pipe or a file goes plain text without any escape sequence. Text is made printable here, so that
no command has to think of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from llmspell.cli import printable

if TYPE_CHECKING:
    from llmspell.cli.progress import Advance

STATUS_STYLES = {
    "active": "green", "suspended": "yellow", "completed": "cyan", "failed": "red", "archived": "dim", "ok": "green",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading, what it shows of an item, and how it looks in colour."""

    title: str
    shows: Callable[[Any], object]
    right: bool = False
    styles: Mapping[str, str] | None = None


class Output:
    """The two streams of one command, and how they are to be used."""

    def __init__(
        self, *, json: bool = False, quiet: bool = False, color: str = "auto",
        stdout: IO[str] | None = None, stderr: IO[str] | None = None,
    ) -> None:  # fmt: skip
        self.json = json
        self.quiet = quiet
        self.color = color
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr

    # -- results -------------------------------------------------------------------------------------------------------

    def one(self, value: Mapping[str, Any], text: str) -> None:
        """One thing: an object for programs, ``text`` (printable, perhaps of several lines) for people."""
        self.write(self._encoded(value) if self.json else text)

    def fields(self, value: Mapping[str, Any], rows: Iterable[tuple[str, object]]) -> None:
        """One thing, shown to people as names and values under each other; rows without a value are left out."""
        if self.json:
            self.write(self._encoded(value))
            return
        shown = [(name, printable.block(str(what))) for name, what in rows if what not in (None, "", [], {})]
        indent = max((len(name) for name, _ in shown), default=0) + 2
        for name, what in shown:
            self.write(name.ljust(indent) + what.replace("\n", "\n" + " " * indent))

    def items(
        self, items: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, next_cursor: str | None, nothing: str
    ) -> None:
        """A list: a table for people (``nothing`` says it is empty), items and the next page's cursor for programs."""
        if self.json:
            self.write(self._encoded({"items": list(items), "next_cursor": next_cursor}))
            return
        if not items:
            self.note(nothing)
        else:
            self._table([[printable.line(column.shows(item)) for column in columns] for item in items], columns)
        if next_cursor is not None:
            self.note(f"more: --cursor {next_cursor}")

    def done(self, value: Mapping[str, Any], sentence: str, *, bare: object = None) -> None:
        """What was done: an object for programs, a sentence for people, with --quiet only ``bare`` (an id)."""
        if self.json:
            self.write(self._encoded(value))
        elif not self.quiet:
            self.write(printable.line(sentence))
        elif bare is not None:
            self.write(printable.line(bare))

    def json_line(self, value: Mapping[str, Any]) -> None:
        """One object of a stream of objects, on its way at once."""
        self.write(self._encoded(value))
        self.stdout.flush()

    def write(self, text: str) -> None:
        """One line or block of a result, as it is."""
        self.stdout.write(text + "\n")

    def raw(self, pieces: Iterable[bytes]) -> None:
        """Bytes, as they are."""
        self.stdout.flush()
        binary: IO[bytes] = self.stdout.buffer  # type: ignore[union-attr]  # what stands for a console has one
        for piece in pieces:
            binary.write(piece)
        binary.flush()

    # -- beside the results --------------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Something worth knowing that is not the result; --quiet and --json leave it out."""
        if not self.quiet and not self.json:
            self.stderr.write(printable.line(text) + "\n")

    @contextmanager
    def progress(self, doing: str, total: int | None, *, in_bytes: bool = False) -> Iterator[Advance | None]:
        """A function that moves a bar on the terminal; None when nobody watches (no terminal, or --quiet)."""
        if self.quiet or not is_terminal(self.stderr):
            yield None
            return
        from llmspell.cli.progress import bar

        with bar(doing, total, in_bytes=in_bytes, stderr=self.stderr, colored=self.color != "never") as advance:
            yield advance

    @property
    def on_terminal(self) -> bool:
        """Whether somebody reads the results on a screen."""
        return is_terminal(self.stdout)

    @property
    def colored(self) -> bool:
        """Whether results may hold colours."""
        if self.color != "auto":
            return self.color == "always"
        return self.on_terminal and os.environ.get("TERM") != "dumb"

    # -- inside --------------------------------------------------------------------------------------------------------

    def _encoded(self, value: Mapping[str, Any]) -> str:
        encoding = (getattr(self.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
        # Escaped where some programs end a line (U+2028) and where a terminal would act on it: the same JSON value.
        return printable.json_text(value, ascii=encoding != "utf8")

    def _table(self, rows: list[list[str]], columns: Sequence[Column]) -> None:
        if self.colored:
            self._rich_table(rows, columns)
            return
        titles = [column.title.upper() for column in columns]
        widths = [max(printable.width(row[at]) for row in [titles, *rows]) for at in range(len(columns))]
        for row in [titles, *rows]:
            cells = [_padded(cell, wide, column.right) for cell, wide, column in zip(row, widths, columns, strict=True)]
            self.write("  ".join(cells).rstrip())

    def _rich_table(self, rows: list[list[str]], columns: Sequence[Column]) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column.title.upper(), justify="right" if column.right else "left", overflow="fold")
        for row in rows:
            cells = zip(row, columns, strict=True)
            table.add_row(*(Text(cell, style=(column.styles or {}).get(cell, "")) for cell, column in cells))
        asked = self.color == "always" and os.environ.get("TERM", "dumb") == "dumb"  # colours all the same
        console = Console(
            file=self.stdout, force_terminal=True, no_color=False, color_system="standard" if asked else "auto",
            highlight=False, markup=False, emoji=False,
        )  # fmt: skip
        console.print(table)


def is_terminal(stream: IO[str]) -> bool:
    """Whether a person reads what is written there."""
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def _padded(cell: str, wide: int, right: bool) -> str:
    space = " " * (wide - printable.width(cell))
    return space + cell if right else cell + space
