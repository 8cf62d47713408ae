"""Runs that differ in their seed alone, put together: mean, deviation and interval of each condition."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from avrobust.metrics import average, average_with_clean, mcnemar, wilson
from avrobust.report.collect import LABELS
from avrobust.types import CONDITIONS, Condition


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
    cells: dict[Condition, Cell]  # empty where nothing is finished
    seeds: int
    n: int
    skipped: int
    bounded: bool
    trusted: bool  # no check of the attack found it too weak
    runs: tuple[str, ...]  # the ids of its runs, by seed
    paper: dict[Condition, float] | None  # the published accuracies
    ri: Gain | None = None  # against the undefended model; None where that was not asked
    mcnemar: Mapping[Condition, float] | None = None  # p of being equally good, over the clips of all seeds
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
    return [_row(group) for _, group in runs.groupby([*LABELS, "settings"], sort=True)]


def _row(group: pd.DataFrame) -> Row:
    first = group.iloc[0]
    paper = {c: float(first[f"paper_{c}"]) for c in CONDITIONS}
    return Row(
        labels={name: first[name] for name in LABELS},
        settings=str(first["settings"]),
        cells={c: _cell(group[c], int(first["n"])) for c in CONDITIONS},
        seeds=int(group["seed"].nunique()),
        n=int(first["n"]),
        skipped=int(group["skipped"].max()),
        bounded=bool(first["bounded"]),
        trusted=bool(group["trusted"].all()),
        runs=tuple(group["run_id"]),
        paper=None if pd.isna(first["paper_clean"]) else paper,
        **_gain(group),
    )


def _gain(group: pd.DataFrame) -> dict[str, Any]:
    """What a comparison with the undefended model adds to a row."""
    epochs = ", ".join(str(int(e)) for e in sorted(group["epochs"].dropna().unique()))
    if group["ri"].isna().any():
        return {"epochs": epochs}
    counts = {c: [int(group[f"only_{who}_{c}"].sum()) for who in ("ours", "theirs")] for c in CONDITIONS}
    p = {c: mcnemar(*counts[c]) for c in CONDITIONS}
    return {"ri": Gain(float(group["ri"].mean()), _deviation(group["ri"])), "mcnemar": p, "epochs": epochs}


def _deviation(values: "pd.Series[float]") -> float | None:
    """The sample standard deviation, None of one value."""
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _cell(values: "pd.Series[float]", n: int) -> Cell:
    mean = float(values.mean())
    low, high = wilson(round(mean / 100 * n), n)
    return Cell(mean, _deviation(values), low, high)
