"""All finished attacks under a folder of runs, as one table."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from avrobust.errors import UserError
from avrobust.report.paper import published
from avrobust.types import CONDITIONS

SHORT = {"clean": "clean", "audio": "xA", "visual": "xV", "audiovisual": "xAV"}
SORT = ["dataset", "threat", "eps", "attack", "fusion", "seed"]


def collect(runs: Path) -> pd.DataFrame:
    """One row a finished attack: what it was, accuracies in percent with 95 % intervals, and the published ones.

    Raises:
        UserError: there is no finished attack under `runs`.
    """
    rows = [_row(result) for result in _results(runs / "attack")]
    if not rows:
        raise UserError(f"{runs}: no finished attack; run python attack.py first, or give --runs FOLDER")
    return pd.DataFrame(rows).sort_values(SORT, ignore_index=True)


def markdown(table: pd.DataFrame) -> str:
    """The table for people: percentages with their intervals, published numbers where there are any."""
    shown = table[["dataset", "fusion", "attack", "threat", "eps", "seed", "n"]].copy()
    for condition in CONDITIONS:
        shown[SHORT[condition]] = [_cell(row, condition) for _, row in table.iterrows()]
    shown["Avg"] = table["average"].map("{:.2f}".format)
    published = table[[f"paper_{condition}" for condition in CONDITIONS]]
    if published.notna().any(axis=None):
        shown["paper"] = [_published(row) for _, row in published.iterrows()]
    shown["attack"] = table["attack"].where(table["bounded"], table["attack"] + " (not eps-bounded)")
    return str(shown.to_markdown(index=False))


def _results(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*/result.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    config = result["config"]
    paper = published(config)
    return {
        **{name: config["choices"][name] for name in ("dataset", "fusion", "attack", "threat")},
        "eps": config["eps"],
        "seed": config["seed"],
        "split": config["split"],
        "n": result["n"],
        "skipped": len(result["skipped"]),
        "bounded": result["bounded"],
        **result["accuracy"],
        **{f"{c}_low": low for c, (low, _) in result["interval"].items()},
        **{f"{c}_high": high for c, (_, high) in result["interval"].items()},
        "average": result["average"],
        "average_with_clean": result["average_with_clean"],
        **{f"paper_{c}": paper.accuracy[c] if paper else None for c in CONDITIONS},
        "run_id": result["run_id"],
    }


def _cell(row: "pd.Series[Any]", condition: str) -> str:
    return f"{row[condition]:.2f} ({row[f'{condition}_low']:.0f} to {row[f'{condition}_high']:.0f})"


def _published(row: "pd.Series[Any]") -> str:
    return "" if row.isna().any() else " / ".join(f"{value:.2f}" for value in row)
