"""Analyses of finished runs, one folder each."""

from importlib import import_module
from pathlib import Path

from avrobust.analyses.base import Analysis


def discover() -> dict[str, Analysis]:
    """Every analysis that has a command, by the name of the command. Imports no torch."""
    analyses = {}
    for path in sorted(Path(__file__).parent.glob("*/analysis.py")):
        analysis: Analysis = import_module(f"{__name__}.{path.parent.name}.analysis").ANALYSIS
        analyses[analysis.name] = analysis
    return analyses
