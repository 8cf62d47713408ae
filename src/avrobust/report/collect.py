"""All finished attacks under a folder of runs, one row each."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from avrobust.errors import UserError
from avrobust.experiments.identity import attack_name, science, split_name
from avrobust.report.command import flat
from avrobust.report.paper import published
from avrobust.types import STANDARD_NAMES as CONDITIONS

LABELS = [
    "dataset",
    "threat",
    "attack",
    "fusion",
    "defense",
    "eps",
    "split",
]  # what a row is called
SORT = [*LABELS, "settings", "seed"]


def collect(runs: Path) -> pd.DataFrame:
    """One row a finished attack: what it was, accuracies in percent with 95 % intervals, and the published ones.

    `settings` names what differs between runs that are otherwise called the same, for example
    "attack.steps=20".

    Raises:
        UserError: there is no finished attack under `runs`.
    """
    results = read_results(runs)
    table = pd.DataFrame([_row(result) for result in results])
    table.insert(len(LABELS), "settings", _settings(table, results))
    return table.sort_values(SORT, ignore_index=True)


def read_results(runs: Path) -> list[dict[str, Any]]:
    """The result files of all finished attacks, undefended first.

    Raises:
        UserError: there is none under `runs`.
    """
    results = [*_results(runs / "attack"), *_results(runs / "defend")]
    if not results:
        raise UserError(
            f"{runs}: no finished attack; run python attack.py first, or give --runs FOLDER"
        )
    return results


def _results(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*/result.json")):
        try:
            yield json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(
                f"{path}: not a result ({error}); delete it and run its command again"
            ) from None


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    config = result["config"]
    paper = published(config)
    return {
        "dataset": dataset_name(config),
        **{name: config["choices"][name] for name in ("threat", "fusion", "defense")},
        "attack": attack_name(config),
        "eps": config["eps"],
        "split": split_name(config),
        "seed": config["seed"],
        "single": config["threat"].get("single_modality_factor", 1.0),
        "n": result["n"],
        "skipped": len(result["skipped"]),
        "bounded": result["bounded"],
        "trusted": result.get("verdict", {}).get("trusted", True),
        "judged": "verdict" in result,
        "reasons": "\n".join(result.get("verdict", {}).get("reasons", [])),
        **result["accuracy"],
        **{f"{c}_low": low for c, (low, _) in result["interval"].items()},
        **{f"{c}_high": high for c, (_, high) in result["interval"].items()},
        "average": result["average"],
        "average_with_clean": result["average_with_clean"],
        "epochs": result.get("epochs", float("nan")),
        "ri": result.get("ri", float("nan")),
        **_discordant(result),
        **{f"paper_{c}": paper.accuracy[c] if paper else float("nan") for c in CONDITIONS},
        "by_hand": _by_hand(config),
        **_cost(result),
        "seconds": result["seconds"],
        "subject": _subject(result),
        "task": result["task"],
        "model": result.get("model", ""),
        "against": result.get("against", {}).get("run_id", ""),
        "run_id": result["run_id"],
    }


def _by_hand(config: Mapping[str, Any]) -> str:
    """The attack's settings that the command named, for example "queries=500, steps=50"."""
    own = (override.lstrip("+") for override in config.get("overrides", ()))
    return ", ".join(
        sorted(text.removeprefix("attack.") for text in own if text.startswith("attack."))
    )


def _cost(result: Mapping[str, Any]) -> dict[str, float]:
    """Gradients and queries a clip by condition; NaN for runs of versions that did not count them."""
    asked = result.get("cost", {})
    names = [(name, c) for name in ("gradients", "queries") for c in CONDITIONS[1:]]
    return {f"{name}_{c}": asked.get(c, {}).get(name, float("nan")) for name, c in names}


def _subject(result: Mapping[str, Any]) -> str:
    """The same for all attacks under one threat on one model, whatever its seed: how the model came about, the data."""
    config = result["config"]
    kept = {k: v for k, v in science(result["task"], config).items() if k not in ("attack", "seed")}
    text = json.dumps([result["task"], result.get("data"), kept], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _discordant(result: Mapping[str, Any]) -> dict[str, float]:
    """How many clips the defended and how many the undefended model alone has right; NaN where nothing is compared."""
    pairs = result.get("discordant", {})
    nothing = (float("nan"), float("nan"))
    counts = {c: pairs.get(c, nothing) for c in CONDITIONS}
    return {
        f"only_{who}_{c}": counts[c][i]
        for c in CONDITIONS
        for i, who in enumerate(("ours", "theirs"))
    }


def dataset_name(config: Mapping[str, Any]) -> str:
    """The data set's name; of `dataset=folder` that of the folder."""
    name = str(config["choices"]["dataset"])
    return Path(config["dataset"]["root"]).resolve().name if name == "folder" else name


def _settings(table: pd.DataFrame, results: list[dict[str, Any]]) -> list[str]:
    """For each run, the settings in which it differs from others of the same labels."""
    every = [_flat(result) for result in results]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, key in enumerate(table[LABELS].itertuples(index=False, name=None)):
        groups.setdefault(key, []).append(i)
    texts = [""] * len(every)
    for places in groups.values():
        keys = dict.fromkeys(key for i in places for key in every[i])
        varying = [key for key in keys if len({every[i].get(key, "") for i in places}) > 1]
        for i in places:
            texts[i] = ", ".join(f"{key}={every[i].get(key, '')}" for key in varying)
    return texts


def _flat(result: Mapping[str, Any]) -> dict[str, str]:
    """What can tell apart two runs of the same labels: their science, flat, without the seed."""
    config = result["config"]
    kept = {
        key: value
        for key, value in flat(science(result["task"], config))
        if key != "seed" and "._" not in key
    }
    return {
        **kept,
        "data": str(result.get("data", ""))[:8],
        "adaptive": config.get("adaptive", "no"),
    }
