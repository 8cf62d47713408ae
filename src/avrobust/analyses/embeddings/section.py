"""Where models put clips: what is drawn of the runs' embeddings.json, without and with a defense side by side."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from avrobust.report.curves import TITLES
from avrobust.types import MODALITIES, Modality

MOST = 12  # pictures: each is large, and more are no longer compared
NAMES = {"encoded": "", "restored": ", restored"}
ATTACKED: str = "audiovisual"  # what the attacked half of a t-SNE is under


class Cloud(NamedTuple):
    """A modality's embeddings of the drawn clips, clean or with both modalities attacked."""

    title: str
    points: list[
        tuple[float, float]
    ]  # of each clip, in [0, 1]; the clouds of a model and modality share their axes
    compactness: Mapping[str, float] | None  # of all clips: intra_over_inter, silhouette


class Similarity(NamedTuple):
    """The audio-visual cosine of one model's embeddings by budget."""

    name: str
    run: str
    values: dict[str, list[tuple[float, float, float]]]  # eps, mean and deviation over clips


class Side(NamedTuple):
    """One model's embeddings; of a model that restores them as its fusion gets them."""

    name: str
    run: str
    labels: list[int]  # of the drawn clips, places in the classes
    clouds: dict[Modality, list[Cloud]]
    similarities: list[Similarity]  # as encoded and as restored
    left_out: str  # why there is no cosine


class Comparison(NamedTuple):
    """What one picture shows: an undefended model, a defended one, or both."""

    name: str  # for a file
    title: str
    n: int
    classes: list[str]
    sides: list[Side]

    @property
    def modalities(self) -> list[Modality]:
        """Those that any model has."""
        return [m for m in MODALITIES if any(m in side.clouds for side in self.sides)]

    @property
    def similarities(self) -> list[Similarity]:
        """Of all models."""
        return [one for side in self.sides for one in side.similarities]


class Comparisons(NamedTuple):
    """Those that are drawn."""

    shown: list[Comparison]
    of: int


def comparisons(runs: pd.DataFrame, root: Path) -> Comparisons:
    """Each defended run beside the undefended one that it was compared with, as far as they have embeddings.

    Args:
        runs: of `collect`.
        root: the folder of all runs.
    """
    paths = {
        str(row.run_id): root / str(row.task) / str(row.run_id) / "embeddings.json"
        for row in runs.itertuples()
    }
    there = runs[[paths[str(run)].is_file() for run in runs["run_id"]]]
    beside = set(there.loc[there["task"] == "defend", "against"])
    first = there[~there["run_id"].isin(beside)].sort_values(
        ["seed", "dataset", "defense", "attack", "eps"]
    )
    known = set(there["run_id"])
    found = []
    for row in first.head(MOST).itertuples():
        pair = [str(run) for run in (row.against, row.run_id) if run in known]
        found.append(
            _comparison(row, [json.loads(paths[run].read_text(encoding="utf-8")) for run in pair])
        )
    return Comparisons(found, len(first))


def _comparison(row: Any, contents: list[dict[str, Any]]) -> Comparison:
    last = contents[-1]
    title = f"{row.dataset}, {row.fusion}, {row.attack}, threat {row.threat}, eps {row.eps:g}, seed {row.seed}"
    names = ["undefended"] * (len(contents) - 1) + [
        "undefended" if row.defense == "none" else str(row.defense)
    ]
    sides = [_side(name, content) for name, content in zip(names, contents, strict=True)]
    return Comparison(str(row.run_id), title, last["n"], last["classes"], sides)


def _side(name: str, content: Mapping[str, Any]) -> Side:
    points, cosine, run = content["points"], content["cosine"], str(content["run_id"])
    stage = "restored" if "restored" in points else "encoded"
    clouds = {
        m: _clouds(points[stage][m], content["compactness"][stage][m])
        for m in points.get(stage, {})
    }
    similarities = [
        Similarity(
            f"{name}{NAMES[stage]}", run, {c: _curve(cosine["eps"], v) for c, v in of.items()}
        )
        for stage, of in cosine.get("stages", {}).items()
    ]
    return Side(
        f"{name}{NAMES[stage]}",
        run,
        content["labels"],
        clouds,
        similarities,
        cosine.get("left_out", ""),
    )


def _clouds(points: Mapping[str, list[list[float]]], compactness: Mapping[str, Any]) -> list[Cloud]:
    """Clean, then attacked."""
    every = [xy for group in points.values() for xy in group]
    ends = [(min(axis), max(axis)) for axis in zip(*every, strict=True)]
    extent = max(high - low for low, high in ends) or 1.0
    center = [(low + high) / 2 for low, high in ends]

    def scaled(group: list[list[float]]) -> list[tuple[float, float]]:
        return [(0.5 + (x - center[0]) / extent, 0.5 + (y - center[1]) / extent) for x, y in group]

    titles: dict[str, str] = {"clean": "clean", ATTACKED: TITLES[ATTACKED]}
    return [
        Cloud(title, scaled(points[c]), compactness[c])
        for c, title in titles.items()
        if c in points
    ]


def _curve(eps: list[float], values: list[list[float]]) -> list[tuple[float, float, float]]:
    return [(x, mean, deviation) for x, (mean, deviation) in zip(eps, values, strict=True)]
