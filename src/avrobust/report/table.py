"""What a table of the report is: lines of cells, each number formatted once."""

from typing import Any, Literal, NamedTuple

from avrobust.report.load import Labels
from avrobust.report.rows import Cell, Gain

Source = Literal["ours", "paper", "difference"]


class Text(NamedTuple):
    """One cell as people read it."""

    main: str  # a name, or a number
    detail: str = ""  # what is smaller beside it: deviation and interval
    number: bool = False
    run: str = ""  # the id of the run that the number comes from

    @property
    def plain(self) -> str:
        """The whole cell in one line."""
        return f"{self.main} {self.detail}" if self.detail else self.main


class Line(NamedTuple):
    """One line of a table."""

    cells: dict[str, Text]  # by column
    source: Source = "ours"
    runs: tuple[str, ...] = ()  # the ids of the runs behind it


class Table(NamedTuple):
    """One table, for people and for programs."""

    name: str
    title: str
    columns: list[str]
    lines: list[Line]
    tidy: list[dict[str, Any]]  # one row a line and condition
    footnotes: tuple[str, ...] = ()

    @property
    def number_columns(self) -> set[str]:
        """The columns that hold numbers, whose headings stand above them on the right."""
        found = set()
        for line in self.lines:
            found |= {name for name, cell in line.cells.items() if cell.number}
        return found


OUTSIDE = "*"  # a published number outside our 95 % interval


def columns_of(lines: list[Line]) -> list[str]:
    """The columns of all lines, in the order of the fullest line."""
    fullest = max(lines, key=lambda line: len(line.cells))
    columns = dict.fromkeys(fullest.cells)
    for line in lines:
        columns |= dict.fromkeys(line.cells)
    return list(columns)


def accuracy_text(cell: Cell, *, more: str = "", run: str = "") -> Text:
    """Mean, deviation over seeds if there are several, and interval.

    Args:
        cell: the accuracy.
        more: stands behind the interval.
        run: that the number leads to.
    """
    details = [f"({cell.low:.0f} to {cell.high:.0f})"]
    if cell.deviation is not None:
        details.insert(0, f"± {cell.deviation:.2f}")
    if more:
        details.append(more)
    return Text(f"{cell.mean:.2f}", " ".join(details), number=True, run=run)


def number_text(
    value: float, deviation: float | None = None, *, signed: bool = False, run: str = ""
) -> Text:
    """A number with two decimals, and its deviation over seeds if there are several."""
    main = f"{value:+.2f}" if signed else f"{value:.2f}"
    detail = "" if deviation is None else f"± {deviation:.2f}"
    return Text(main, detail, number=True, run=run)


def gain_text(gain: Gain, interval: tuple[float, float] | None, *, run: str) -> Text:
    """A difference in points, its deviation over seeds and its interval, as far as known."""
    text = number_text(gain.mean, gain.deviation, signed=True, run=run)
    if interval is None:
        return text
    low, high = interval
    return text._replace(detail=f"{text.detail} ({low:+.0f} to {high:+.0f})".lstrip())


def label_texts(labels: Labels) -> dict[str, Text]:
    """The cells that say what a line is about."""
    texts = {}
    for name, value in labels._asdict().items():
        texts[name] = Text(f"{value:g}", number=True) if isinstance(value, float) else Text(value)
    return texts


def line_groups(table: Table) -> list[list[Line]]:
    """Our lines, each with the paper's and the difference that stand below it."""
    groups: list[list[Line]] = []
    for line in table.lines:
        if line.source == "ours" or not groups:
            groups.append([])
        groups[-1].append(line)
    return groups
