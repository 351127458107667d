# SPDX-License-Identifier: Apache-2.0
"""Tables of figures: as text, as HTML, as data."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Cell = str | float | int | None


@dataclass(slots=True)
class Table:
    """Rows of figures under `columns`; the first cell of a row is its name, None is "not measured".

    Notes say what a reader must know to judge them.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: list[Sequence[Cell]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        lines = [list(self.columns), *([show(cell) for cell in row] for row in self.rows)]
        widths = [max(len(line[n]) for line in lines) for n in range(len(self.columns))]
        out = [self.title, "-" * len(self.title)]
        for line in lines:
            first, *rest = (
                cell.rjust(width) if n else cell.ljust(width)
                for n, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            out.append("  ".join([first, *rest]).rstrip())
        return "\n".join([*out, *(f"  {note}" for note in self.notes)]) + "\n"

    def html(self) -> str:
        head = "".join(f"<th>{html.escape(column)}</th>" for column in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(show(cell))}</td>" for cell in row) + "</tr>"
            for row in self.rows
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"<h2>{html.escape(self.title)}</h2><table><tr>{head}</tr>{body}</table>{notes}"

    def data(self) -> dict[str, object]:
        return {
            "name": self.name,
            "title": self.title,
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
            "notes": self.notes,
        }


def show(cell: Cell) -> str:
    """A figure with about three digits that count."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 1000:
        return f"{cell:,.0f}"
    return (
        f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"
    )


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """Ours by theirs, None if one was not measured."""
    return ours / theirs if ours is not None and theirs else None


STYLE = """
body { font: 15px/1.5 system-ui; margin: 2rem auto; max-width: 62rem; padding: 0 1rem }
table { border-collapse: collapse }
td, th { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #8884 }
td:first-child, th:first-child { text-align: left }
p { opacity: .75; margin: .3rem 0 }
"""


def page(about: str, tables: Iterable[Table]) -> str:
    """All tables as one page."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>hybrid.mesh: measured</title>'
        f"<style>{STYLE}</style><h1>hybrid.mesh: measured</h1><p>{html.escape(about)}</p>"
        f"{''.join(each.html() for each in tables)}</html>\n"
    )
