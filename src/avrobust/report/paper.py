"""The numbers that the paper published (Tian & Xu, CVPR 2021, Tables 1 to 3), each once, in paper.csv."""

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from avrobust.experiments.identity import attack_name, split_name
from avrobust.types import CONDITIONS

EPS = 0.006  # of every published row; Table 1 takes twice that where one modality is attacked alone


UNIMODAL = {
    "unimodal_audio": "audio_only",
    "unimodal_visual": "visual_only",
}  # as a "defense" is a fusion of its own


class Published(NamedTuple):
    """One row of one of the paper's tables; accuracies in percent by condition."""

    table: int
    accuracy: dict[str, float]


@cache
def _rows() -> list[dict[str, str]]:
    with files("avrobust.report").joinpath("paper.csv").open() as file:
        return list(csv.DictReader(file))


def published(config: Mapping[str, Any]) -> Published | None:
    """The published row that a run's config corresponds to, if there is one.

    The released code's MIM made the published MIM rows, so `mim` and `mim_released` both stand
    beside them.
    """
    if config["eps"] != EPS or split_name(config) != "test":
        return None
    names = {name: config["choices"][name] for name in ("dataset", "fusion", "defense", "threat")}
    return find(**names, attack=attack_name(config))


@cache
def find(dataset: str, fusion: str, defense: str, attack: str, threat: str) -> Published | None:
    """The published row under these names, which are our options' names; see `published`."""
    wanted = {
        "dataset": dataset,
        "fusion": UNIMODAL.get(defense, fusion),
        "defense": "none" if defense in UNIMODAL else defense,
        "attack": attack.removesuffix("_released"),
        "threat": threat,
    }
    for row in _rows():
        if all(row[column] == value for column, value in wanted.items()):
            return Published(int(row["table"]), {c: float(row[c]) for c in CONDITIONS})
    return None
