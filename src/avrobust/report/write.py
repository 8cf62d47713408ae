"""Tables to files: Markdown and LaTeX for people, CSV for programs."""

from pathlib import Path

import pandas as pd

from avrobust.report.load import Runs
from avrobust.report.table import Table
from avrobust.report.tidy import tidy_runs

UNITS = "Accuracy in percent (95 % interval)."


def markdown(table: Table) -> str:
    """The table with its title; pipes in names are escaped."""
    shown = _frame(table).map(lambda value: str(value).replace("|", "\\|"))
    text = str(shown.to_markdown(index=False, disable_numparse=True))
    footnote = " ".join([UNITS, *table.footnotes])
    return f"**{table.title}**\n\n{text}\n\n{footnote}\n"


def latex(table: Table) -> str:
    """The table as a LaTeX tabular; names are escaped."""
    caption = _escaped(table.title)
    text = _frame(table).to_latex(index=False, escape=True, caption=caption, label=table.name)
    return text.replace("ε", r"$\epsilon$").replace("±", r"$\pm$")


def csv_text(table: Table) -> str:
    """The table's numbers, one row a line and condition."""
    return pd.DataFrame(table.tidy).to_csv(index=False)


def write_tables(tables: list[Table], runs: Runs, folder: Path) -> None:
    """Writes `tables/<name>.md`, `.tex`, `.csv`, and `results.csv` of every run, under a folder."""
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(tidy_runs(runs.entries)).to_csv(folder / "results.csv", index=False)
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


def _escaped(text: str) -> str:
    """For LaTeX; pandas escapes the cells but not the caption."""
    return "".join(f"\\{letter}" if letter in "%_&#$" else letter for letter in text)
