"""What a table of the report is, and what all of them write the same way."""

from typing import Any, NamedTuple

import pandas as pd

from avrobust.report.rows import Cell

SHORT: dict[str, str] = {
    "clean": "clean",
    "audio": "xA",
    "visual": "xV",
    "audiovisual": "xAV",
}
BEHIND = "runs"  # in a line: the ids of the runs that it comes from; not shown
OUTSIDE = "*"  # a published number outside our 95 % interval


class Table(NamedTuple):
    """One table, for people and for programs."""

    name: str
    title: str
    shown: pd.DataFrame  # text cells
    tidy: pd.DataFrame  # one row a line and condition
    runs: list[tuple[str, ...]]  # the ids of the runs behind each line of `shown`


def shown(lines: list[dict[str, Any]]) -> pd.DataFrame:
    """Lines as a frame of text, its columns in the order of the fullest line."""
    fullest = max(lines, key=lambda line: len(line))
    return pd.DataFrame(lines, columns=[name for name in fullest if name != BEHIND]).fillna("")


def behind(lines: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The runs of each line."""
    return [line.get(BEHIND, ()) for line in lines]


def text_of(cell: Cell, mark: str = "") -> str:
    """Mean, marked if there is a mark, deviation over seeds if there are several, and interval."""
    deviation = "" if cell.deviation is None else f" ± {cell.deviation:.2f}"
    return f"{cell.mean:.2f}{mark}{deviation} ({cell.low:.0f} to {cell.high:.0f})"
