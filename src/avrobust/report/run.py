"""Writes the whole report: `avrobust report`."""

from pathlib import Path
from typing import NamedTuple

from avrobust.experiments.result_files import Unreadable
from avrobust.report.figures import write_figures
from avrobust.report.load import load
from avrobust.report.page import write_page
from avrobust.report.scores import Scores
from avrobust.report.table import Table
from avrobust.report.tables import overview, tables
from avrobust.report.write import write_tables
from avrobust.utils.files import remove_leftovers

FIGURES = "figures"


class Report(NamedTuple):
    """What was written."""

    page: Path
    paper_tables: list[Table]
    overview: Table
    unreadable: list[Unreadable]  # files of runs that are not in the report


def write_report(root: Path, size: int) -> Report:
    """Writes the tables, the figures and the page of all finished attacks into <root>/report.

    Args:
        root: the folder of all runs.
        size: about the most bytes that the page may have.

    Raises:
        UserError: there is no finished attack.
    """
    runs = load(root)
    scores = Scores()
    paper_tables = tables(runs, scores)
    whole = overview(runs, scores)
    every = [*paper_tables, whole]
    folder = root / "report"
    remove_leftovers(folder)
    remove_leftovers(folder / FIGURES)
    write_tables(every, runs, folder)
    page = folder / "index.html"
    damaged = write_page(page, runs, every, size)
    write_figures(runs.entries, folder / FIGURES)
    return Report(page, paper_tables, whole, [*runs.unreadable, *damaged])
