"""Runs one analysis on the folder of a finished run."""

from pathlib import Path
from typing import Any

from avrobust.analyses.base import Analysis


def run(analysis: Analysis, folder: Path, settings: Any) -> None:
    """Analyzes the finished run in `folder` and prints the outcome.

    Raises:
        UserError: There is no finished run in `folder`, or the analysis does not fit it.
    """
    analysis.run(folder, settings)
