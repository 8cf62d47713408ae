"""Writes the whole report: `avrobust report`."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from avrobust.errors import UserError
from avrobust.experiments.result_files import Unreadable
from avrobust.report.figures import write_figures
from avrobust.report.load import Runs, load
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
    figures: int  # how many
    unreadable: list[Unreadable]  # files of runs that are not in the report


def write_report(root: Path, size: int) -> Report:
    """Writes the tables, the figures and the page of all finished attacks into <root>/report.

    A run that the report cannot be written with is left out and listed as unreadable.

    Args:
        root: the folder of all runs.
        size: about the most bytes that the page may have.

    Raises:
        UserError: there is no finished attack.
    """
    runs = load(root)
    try:
        return _write(runs, root / "report", size)
    except (OSError, UserError):
        raise
    except Exception:
        # The types in result.json do not tell all: a run may still be one that no code of ours
        # would have written. The search costs about twice the report for each such run.
        culprits = _culprits(runs, size)
        if not culprits:
            raise
        return _write(runs.without(culprits), root / "report", size)


def _write(runs: Runs, folder: Path, size: int) -> Report:
    scores = Scores()
    paper_tables = tables(runs, scores)
    whole = overview(runs, scores)
    every = [*paper_tables, whole]
    remove_leftovers(folder)
    remove_leftovers(folder / FIGURES)
    write_tables(every, runs, folder)
    page = folder / "index.html"
    damaged = write_page(page, runs, every, size)
    figures = write_figures(runs.entries, folder / FIGURES)
    return Report(page, paper_tables, whole, figures, [*runs.unreadable, *damaged])


def _culprits(runs: Runs, size: int) -> dict[str, str]:
    """The runs that the report cannot be written with, by id, each with the reason."""
    try:
        with TemporaryDirectory() as folder:
            _write(runs, Path(folder), size)
    except (OSError, UserError):
        raise
    except Exception as error:
        if len(runs.entries) == 1:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            return {runs.entries[0].run_id: f"damaged: {reason}"}
    else:
        return {}
    half = len(runs.entries) // 2
    first, second = runs.entries[:half], runs.entries[half:]
    culprits = _culprits(runs._replace(entries=first), size)
    return culprits | _culprits(runs._replace(entries=second), size)
