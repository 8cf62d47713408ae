"""All finished attacks under a folder of runs, one row each."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from avrobust.errors import UserError
from avrobust.report.paper import published
from avrobust.science import science
from avrobust.types import CONDITIONS

LABELS = ["dataset", "threat", "attack", "fusion", "defense", "eps", "split"]  # what a row is called
SORT = [*LABELS, "settings", "seed"]


def collect(runs: Path) -> pd.DataFrame:
    """One row a finished attack: what it was, accuracies in percent with 95 % intervals, and the published ones.

    `settings` names what differs between runs that are otherwise called the same, for example "attack.steps=20".

    Raises:
        UserError: there is no finished attack under `runs`.
    """
    results = [*_results(runs / "attack"), *_results(runs / "defend")]
    if not results:
        raise UserError(f"{runs}: no finished attack; run python attack.py first, or give --runs FOLDER")
    table = pd.DataFrame([_row(result) for result in results])
    table.insert(len(LABELS), "settings", _settings(table, results))
    return table.sort_values(SORT, ignore_index=True)


def _results(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*/result.json")):
        try:
            yield json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path}: not a result ({error}); delete it and run its command again") from None


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    config = result["config"]
    paper = published(config)
    return {
        "dataset": _dataset(config),
        **{name: config["choices"][name] for name in ("threat", "attack", "fusion", "defense")},
        "eps": config["eps"],
        "split": config["split"],
        "seed": config["seed"],
        "single": config["threat"].get("single", 1.0),
        "n": result["n"],
        "skipped": len(result["skipped"]),
        "bounded": result["bounded"],
        "trusted": result.get("verdict", {}).get("trusted", True),
        **result["accuracy"],
        **{f"{c}_low": low for c, (low, _) in result["interval"].items()},
        **{f"{c}_high": high for c, (_, high) in result["interval"].items()},
        "average": result["average"],
        "average_with_clean": result["average_with_clean"],
        "ri": result.get("ri", float("nan")),
        **{f"paper_{c}": paper.accuracy[c] if paper else float("nan") for c in CONDITIONS},
        "seconds": result["seconds"],
        "run_id": result["run_id"],
    }


def _dataset(config: Mapping[str, Any]) -> str:
    """The data set's name; of `dataset=folder` that of the folder."""
    name = str(config["choices"]["dataset"])
    return Path(config["dataset"]["root"]).resolve().name if name == "folder" else name


def _settings(table: pd.DataFrame, results: list[dict[str, Any]]) -> list[str]:
    """For each run, the settings in which it differs from others of the same labels."""
    flat = pd.DataFrame([_flat(result) for result in results]).astype(str)
    texts = [""] * len(table)
    for _, group in table.groupby(LABELS):
        part = flat.loc[group.index]
        varying = [str(key) for key in part if part[key].nunique() > 1]
        for index in group.index:
            texts[int(index)] = ", ".join(f"{key}={part.at[index, key]!s}" for key in varying)
    return texts


def _flat(result: Mapping[str, Any]) -> dict[str, Any]:
    """What can tell apart two runs of the same labels: their science, flat, without the seed."""
    config = result["config"]
    flat = pd.json_normalize(science(result["task"], config)).iloc[0].to_dict()
    kept = {str(k): v for k, v in flat.items() if k != "seed" and "._" not in str(k)}
    return {**kept, "data": str(result.get("data", ""))[:8], "adaptive": config.get("adaptive", "no")}
