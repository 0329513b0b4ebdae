"""The results, as a table and as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.runner import Cost

_HEADS = ("what", "wall", "CPU", "RSS", "must", "aim")
_MARKED = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- end of table -->)", re.DOTALL)
_MILLI, _MEGA = 1e-3, 1e6


@dataclass(frozen=True, slots=True)
class Figure:
    """The values of a figure, one per round, in seconds or bytes, and its unit in the table."""

    values: Sequence[float]
    unit: Literal["x", "ms", "MB"] = "x"

    def shown(self, x: float) -> str:
        """Return the median as text."""
        middle = median(self.values)
        match self.unit:
            case "x":
                return f"{middle / x:.2f}x"
            case "ms":
                return f"{middle / _MILLI:.1f} ms"
            case "MB":
                return f"{middle / _MEGA:.1f} MB"

    def to_json(self, x: float) -> dict[str, float]:
        """Return median, least and most, and the ratio to x."""
        middle = median(self.values)
        ends = {"least": min(self.values), "most": max(self.values)}
        return {"median": middle, **ends, "x": middle / x}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table; without figures if the program is not installed."""

    what: str
    wall: Figure | None = None
    cpu: Figure | None = None
    rss: Figure | None = None
    must: str = ""
    aim: str = ""

    @property
    def figures(self) -> dict[str, Figure | None]:
        """The three figures, by their names in the JSON."""
        return {"wall": self.wall, "cpu": self.cpu, "rss": self.rss}


def row(what: str, costs: Sequence[Cost], must: str = "", aim: str = "") -> Row:
    """Return a row with the costs of whole processes, as multiples of x."""
    if not costs:
        return Row(what=what, must=must, aim=aim)
    return Row(
        what=what,
        wall=Figure([cost.wall for cost in costs]),
        cpu=Figure([cost.cpu for cost in costs]),
        rss=Figure([cost.rss for cost in costs]),
        must=must,
        aim=aim,
    )


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that were measured in turn, and the cost of x in each round."""

    x: Sequence[Cost]
    rows: Sequence[Row]

    @property
    def bases(self) -> dict[str, float]:
        """The value of 1x: seconds of wall and CPU time, bytes."""
        return {
            "wall": median(cost.wall for cost in self.x),
            "cpu": median(cost.cpu for cost in self.x),
            "rss": median(cost.rss for cost in self.x),
        }

    def cells(self) -> list[list[str]]:
        """Return the lines of the table."""
        return [
            [
                row.what if any(row.figures.values()) else f"{row.what}: not here",
                *(
                    figure.shown(self.bases[name]) if figure else ""
                    for name, figure in row.figures.items()
                ),
                row.must,
                row.aim,
            ]
            for row in self.rows
        ]

    def to_json(self) -> list[dict[str, object]]:
        """Return the rows, in seconds and bytes."""
        return [
            {"what": row.what, "must": row.must, "aim": row.aim}
            | {
                name: figure.to_json(self.bases[name])
                for name, figure in row.figures.items()
                if figure
            }
            for row in self.rows
        ]


@dataclass(frozen=True, slots=True)
class Report:
    """The results of all parts."""

    parts: Sequence[Part]

    def markdown(self) -> str:
        """Return the table in Markdown."""
        lines = [list(_HEADS), *(cells for part in self.parts for cells in part.cells())]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines.insert(1, ["-" * width for width in widths])
        padded = [
            " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            for cells in lines
        ]
        return "".join(f"| {line} |\n" for line in padded)

    def sentence(self) -> str:
        """Return a sentence with the value of 1x."""
        x = [cost for part in self.parts for cost in part.x]
        wall, cpu, rss = Part(x, ()).bases.values()
        return (
            f"1x, a bare interpreter: {wall / _MILLI:.1f} ms wall, {cpu / _MILLI:.1f} ms CPU,"
            f" {rss / _MEGA:.1f} MB."
        )

    def json(self) -> list[dict[str, object]]:
        """Return the results of each part, in seconds and bytes."""
        return [
            {"x": part.bases, "rounds": len(part.x), "rows": part.to_json()} for part in self.parts
        ]

    def write_into(self, page: Path) -> None:
        """Write the table, and the value of 1x, between the two marks of a page."""
        text = page.read_text(encoding="utf-8")
        table = f"{self.markdown()}\n{self.sentence()}\n"
        page.write_text(_MARKED.sub(lambda _: table, text), encoding="utf-8")
