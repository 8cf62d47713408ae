"""Tables to files: Markdown and LaTeX for people, CSV for programs."""

from pathlib import Path

import pandas as pd

from avrobust.report.by_attack import BY_ATTACK, WEAKER
from avrobust.report.cells import OUTSIDE, Table

UNITS = "Accuracy in percent (95 % interval)."
STAR = f" {OUTSIDE} the published number is outside our interval."
DAGGER = (
    f" {WEAKER} more clips stand than under the strongest attack of the line, outside noise: who trusted this one was "
    "fooled. Gradients and queries are the mean over xA, xV and xAV, seconds those of the whole run."
)


def markdown(table: Table) -> str:
    """The table with its title; pipes in names are escaped."""
    shown = table.shown.map(lambda value: str(value).replace("|", "\\|"))
    text = str(shown.to_markdown(index=False, disable_numparse=True))
    footnote = (
        UNITS + (STAR if OUTSIDE in text else "") + (DAGGER if table.name == BY_ATTACK else "")
    )
    return f"**{table.title}**\n\n{text}\n\n{footnote}\n"


def latex(table: Table) -> str:
    """The table as a LaTeX tabular; names are escaped."""
    text = table.shown.to_latex(
        index=False, escape=True, caption=_escaped(table.title), label=table.name
    )
    return text.replace("ε", r"$\epsilon$").replace("±", r"$\pm$").replace(WEAKER, r"$\dagger$")


def _escaped(text: str) -> str:
    """For LaTeX; pandas escapes the cells but not the caption."""
    return "".join(f"\\{letter}" if letter in "%_&#$" else letter for letter in text)


def write_tables(tables: list[Table], runs: pd.DataFrame, folder: Path) -> None:
    """Writes `tables/<name>.md`, `.tex` and `.csv`, and `results.csv` with every run, under a folder."""
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    runs.to_csv(folder / "results.csv", index=False)
    for table in tables:
        path = folder / "tables" / table.name
        path.with_suffix(".md").write_text(markdown(table), encoding="utf-8")
        path.with_suffix(".tex").write_text(latex(table), encoding="utf-8")
        table.tidy.to_csv(path.with_suffix(".csv"), index=False)
