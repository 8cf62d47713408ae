"""The paper's numbers (Tian & Xu, CVPR 2021, Tables 1 to 3), each once, in paper.csv."""

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from avrobust.evaluation.metrics import robustness_improvement
from avrobust.experiments.results import EvaluationResult
from avrobust.experiments.settings import UNDEFENDED

EPS = 0.006  # of every published row; Table 1 takes twice that where one modality is attacked alone
NAMES = ("dataset", "fusion", "defense", "attack", "threat")
CONDITIONS = ("clean", "audio", "visual", "audiovisual")  # the file's columns


class Published(NamedTuple):
    """One row of one of the paper's tables, under the names of our options."""

    table: int
    dataset: str
    fusion: str
    defense: str
    attack: str
    threat: str
    accuracy: dict[str, float]  # in percent by condition

    @property
    def average(self) -> float:
        """Over xA, xV, xAV."""
        _, *attacked = self.accuracy.values()
        return sum(attacked) / len(attacked)

    @property
    def average_with_clean(self) -> float:
        """Over clean, xA, xV, xAV."""
        return sum(self.accuracy.values()) / len(self.accuracy)


@cache
def published_rows() -> tuple[Published, ...]:
    """All published rows, in the order of the paper."""
    with files("avrobust.report").joinpath("paper.csv").open(encoding="utf-8") as file:
        rows = []
        for row in csv.DictReader(file):
            accuracy = {condition: float(row[condition]) for condition in CONDITIONS}
            names = {name: row[name] for name in NAMES}
            rows.append(Published(table=int(row["table"]), accuracy=accuracy, **names))
    return tuple(rows)


def published(result: EvaluationResult) -> Published | None:
    """The published row that a result corresponds to; None if there is none."""
    settings, model = result.settings, result.experiment.model
    if settings.eps != EPS or result.split_name != "test":
        return None
    # A unimodal "defense" is another fusion, and stands in the paper as such.
    unimodal = model.used_fusion != model.fusion
    return find(
        dataset=model.dataset.name,
        fusion=model.used_fusion.name,
        defense=UNDEFENDED if unimodal else model.defense.name,
        attack=result.attack.paper_name or result.attack_name,
        threat=settings.threat.name,
    )


@cache
def find(dataset: str, fusion: str, defense: str, attack: str, threat: str) -> Published | None:
    """The published row under these names."""
    for row in published_rows():
        if (row.dataset, row.fusion, row.defense) == (dataset, fusion, defense):
            if (row.attack, row.threat) == (attack, threat):
                return row
    return None


def published_names(table: int, column: str) -> list[str]:
    """The values of a column of one of the paper's tables, in the paper's order."""
    names = [getattr(row, column) for row in published_rows() if row.table == table]
    return list(dict.fromkeys(names))


def published_ri(row: Published) -> float | None:
    """The published RI of a row of Table 3, computed, as one printed value is off by rounding."""
    if row.table != 3:
        return None
    joint = published_names(1, "fusion")[0]  # the fusion of the joint model
    none = find(row.dataset, joint, UNDEFENDED, row.attack, row.threat)
    if none is None:
        return None
    return robustness_improvement(
        row.accuracy["clean"], row.average, none.accuracy["clean"], none.average
    )


def best_published_defenses(count: int) -> list[str]:
    """The defenses with the highest published RI on the paper's first data set, the best first."""
    first = published_rows()[0].dataset
    gains: dict[str, float] = {}
    for row in published_rows():
        ri = published_ri(row)
        if row.dataset == first and ri is not None and row.defense != UNDEFENDED:
            gains[row.defense] = ri
    return sorted(gains, key=lambda name: -gains[name])[:count]
