"""Tables to files: Markdown and LaTeX for people, CSV for programs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from avrobust.report.load import Runs
from avrobust.report.table import Table
from avrobust.report.tidy import tidy_runs
from avrobust.utils.spreadsheet import neutral

UNITS = "Accuracy in percent (95 % interval)."


def markdown(table: Table) -> str:
    """The table with its title; pipes in names are escaped."""
    frame = _frame(table)
    shown = frame.map(_markdown_text).rename(columns=_markdown_text)
    text = str(shown.to_markdown(index=False, disable_numparse=True))
    footnote = " ".join([UNITS, *table.footnotes])
    return f"**{_markdown_text(table.title)}**\n\n{text}\n\n{footnote}\n"


def latex(table: Table) -> str:
    """The table as a LaTeX tabular; names are escaped."""
    caption = _escaped(table.title)
    text = _frame(table).to_latex(index=False, escape=True, caption=caption, label=table.name)
    return text.replace("ε", r"$\epsilon$").replace("±", r"$\pm$")


def csv_text(table: Table) -> str:
    """The table's numbers, one row a line and condition."""
    return _neutral_csv(table.tidy)


def write_tables(tables: list[Table], runs: Runs, folder: Path) -> None:
    """Writes `tables/<name>.md`, `.tex`, `.csv`, and `results.csv` of every run, under a folder."""
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    results = _neutral_csv(tidy_runs(runs.entries))
    (folder / "results.csv").write_text(results, encoding="utf-8")
    for table in tables:
        path = folder / "tables" / table.name
        path.with_suffix(".md").write_text(markdown(table), encoding="utf-8")
        path.with_suffix(".tex").write_text(latex(table), encoding="utf-8")
        path.with_suffix(".csv").write_text(csv_text(table), encoding="utf-8")


def _frame(table: Table) -> pd.DataFrame:
    """The table as text."""
    lines = []
    for line in table.lines:
        lines.append(
            [line.cells[name].plain if name in line.cells else "" for name in table.columns]
        )
    return pd.DataFrame(lines, columns=table.columns)


def _neutral_csv(records: Sequence[Mapping[str, Any]]) -> str:
    """Records as CSV, without a cell that a spreadsheet would take for a formula."""
    frame = pd.DataFrame(records)
    return str(frame.map(neutral).rename(columns=neutral).to_csv(index=False))


def _markdown_text(value: object) -> str:
    """A cell or a title in one line, its pipes escaped."""
    return " ".join(str(value).split()).replace("|", "\\|")


def _escaped(text: str) -> str:
    """For LaTeX; pandas escapes the cells but not the caption."""
    return "".join(f"\\{letter}" if letter in "%_&#$" else letter for letter in text)
