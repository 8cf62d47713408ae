"""What analyses found about finished runs, read once for the page and for the figures."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from avrobust.analyses.base import Analysis, Analyzed
from avrobust.analyses.discover import discover
from avrobust.analyses.outcomes import read_outcomes
from avrobust.experiments.result_files import Unreadable
from avrobust.report.load import RunEntry


class AnalyzedRuns(NamedTuple):
    """The runs that an analysis was made of."""

    analysis: Analysis[Any, Any]
    runs: list[Analyzed[Any]]
    unreadable: list[Unreadable]


def analyzed_runs(entries: Sequence[RunEntry]) -> list[AnalyzedRuns]:
    """The runs of each analysis that was made of any."""
    by_folder = {entry.folder: entry for entry in entries}
    by_analysis = []
    for analysis in discover().values():
        outcomes, unreadable = read_outcomes(analysis, list(by_folder))
        runs = []
        for folder, outcome in outcomes.items():
            entry = by_folder[folder]
            runs.append(Analyzed(entry.result, entry.title, folder, outcome))
        if runs or unreadable:
            by_analysis.append(AnalyzedRuns(analysis, runs, unreadable))
    return by_analysis
