"""Finds the analyses, and reads what they wrote."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from avrobust.analyses.base import Analysis
from avrobust.experiments.results import Unreadable
from avrobust.utils.files import atomic_write

SCHEMA = 1  # of <analysis>.json
ENTRY_POINTS = "avrobust.analyses"  # group under which another package may bring its own


@cache
def discover() -> dict[str, Analysis[Any, Any]]:
    """Every analysis by the name of its command; imports no torch."""
    modules = []
    for path in sorted(Path(__file__).parent.glob("*/analysis.py")):
        modules.append(import_module(f"avrobust.analyses.{path.parent.name}.analysis"))
    modules += [entry.load() for entry in entry_points(group=ENTRY_POINTS)]
    return {module.ANALYSIS.name: module.ANALYSIS for module in modules}


def write_outcome(analysis: Analysis[Any, Any], folder: Path, outcome: Any) -> Path:
    """Writes <name>.json into a run's folder, whole or not at all.

    Raises:
        ValueError: a number is not finite.
    """
    path = folder / f"{analysis.name}.json"
    content = {"schema": SCHEMA, **asdict(outcome)}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def read_outcomes(
    analysis: Analysis[Any, Any], folders: Sequence[Path]
) -> tuple[dict[Path, Any], list[Unreadable]]:
    """What an analysis found about runs, by folder, and the files that cannot be read."""
    outcomes: dict[Path, Any] = {}
    unreadable: list[Unreadable] = []
    for folder in folders:
        path = folder / f"{analysis.name}.json"
        if not path.is_file():
            continue
        try:
            outcomes[folder] = _read(analysis, path)
        except (OSError, ValueError, ValidationError) as error:
            reason = " ".join(str(error).split())[:200]
            unreadable.append(Unreadable(path, f"damaged or of another version: {reason}"))
    return outcomes, unreadable


def _read(analysis: Analysis[Any, Any], path: Path) -> Any:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or content.pop("schema", None) != SCHEMA:
        raise ValueError(f"not of schema {SCHEMA}; run avrobust {analysis.name} again")
    return TypeAdapter(analysis.outcome).validate_python(content)
