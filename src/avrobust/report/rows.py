"""Runs that differ in their seed alone, put together: mean, deviation and interval of each condition."""

import math
from collections.abc import Iterable, Mapping
from statistics import fmean, stdev
from typing import Any, NamedTuple

import pandas as pd

from avrobust.evaluation.metrics import average, average_with_clean, mcnemar, wilson
from avrobust.report.collect import LABELS
from avrobust.types import STANDARD_NAMES as CONDITIONS


class Cell(NamedTuple):
    """An accuracy in percent over the seeds of a row."""

    mean: float
    deviation: float | None  # sample standard deviation over seeds; None with one seed
    low: float  # 95 % interval of the mean accuracy, as far as the number of clips goes
    high: float


class Gain(NamedTuple):
    """Robustness improvement in points over the seeds of a row."""

    mean: float
    deviation: float | None


class Row(NamedTuple):
    """One line of a table: what was attacked, and what we and the paper found."""

    labels: dict[str, Any]  # dataset, threat, attack, fusion, defense, eps, split
    settings: str
    cells: dict[str, Cell]  # empty where nothing is finished
    seeds: int
    n: int
    skipped: int
    bounded: bool
    trusted: bool  # no check of the attack found it too weak
    runs: tuple[str, ...]  # the ids of its runs, by seed
    paper: dict[str, float] | None  # the published accuracies
    ri: Gain | None = None  # against the undefended model; None where that was not asked
    mcnemar: Mapping[str, float] | None = (
        None  # p of being equally good, over the clips of all seeds
    )
    epochs: str = ""  # that the model was trained for, all stages together

    @property
    def average(self) -> float:
        """Over xA, xV, xAV."""
        return average({c: cell.mean for c, cell in self.cells.items()})

    @property
    def average_with_clean(self) -> float:
        """Over clean, xA, xV, xAV."""
        return average_with_clean({c: cell.mean for c, cell in self.cells.items()})


def rows(runs: pd.DataFrame) -> list[Row]:
    """One row for each group of runs that differ in nothing but their seed."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in runs.to_dict("records"):  # plain values: many small frames take pandas long
        groups.setdefault(tuple(run[str(name)] for name in (*LABELS, "settings")), []).append(
            {str(name): value for name, value in run.items()}
        )
    return [_row(groups[key]) for key in sorted(groups)]


def _row(group: list[dict[str, Any]]) -> Row:
    first = group[0]
    return Row(
        labels={name: first[name] for name in LABELS},
        settings=str(first["settings"]),
        cells={c: _cell([run[c] for run in group], first["n"]) for c in CONDITIONS},
        seeds=len({run["seed"] for run in group}),
        n=int(first["n"]),
        skipped=max(run["skipped"] for run in group),
        bounded=bool(first["bounded"]),
        trusted=all(run["trusted"] for run in group),
        runs=tuple(run["run_id"] for run in group),
        paper=None
        if math.isnan(first["paper_clean"])
        else {c: float(first[f"paper_{c}"]) for c in CONDITIONS},
        **_gain(group),
    )


def _gain(group: list[dict[str, Any]]) -> dict[str, Any]:
    """What a comparison with the undefended model adds to a row."""
    epochs = ", ".join(
        str(int(e))
        for e in sorted({run["epochs"] for run in group if not math.isnan(run["epochs"])})
    )
    gains = [run["ri"] for run in group]
    if any(map(math.isnan, gains)):
        return {"epochs": epochs}
    p = {
        c: mcnemar(*(_total(run[f"only_{who}_{c}"] for run in group) for who in ("ours", "theirs")))
        for c in CONDITIONS
    }
    return {"ri": Gain(fmean(gains), _deviation(gains)), "mcnemar": p, "epochs": epochs}


def _total(counts: Iterable[float]) -> int:
    return int(sum(count for count in counts if not math.isnan(count)))


def _deviation(values: list[float]) -> float | None:
    """The sample standard deviation, None of one value."""
    return stdev(values) if len(values) > 1 else None


def _cell(values: list[float], n: int) -> Cell:
    mean = fmean(values)
    low, high = wilson(round(mean / 100 * n), n)
    return Cell(mean, _deviation(values), low, high)
