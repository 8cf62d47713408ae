"""Accuracy over eps (Fig. 3): what is drawn, for the page's SVG and for the figures on paper."""

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from avrobust.report.rows import Row
from avrobust.report.tables import strength
from avrobust.types import STANDARD_NAMES as CONDITIONS

TITLES: dict[str, str] = {
    "audio": "audio attacked",
    "visual": "video attacked",
    "audiovisual": "both attacked",
}
NAMES = {"concat": "joint", "audio_only": "only A", "visual_only": "only V"}


class Point(NamedTuple):
    """One accuracy of a curve, in percent."""

    eps: float
    mean: float
    low: float
    high: float
    run: str  # the first of its runs


class Curve(NamedTuple):
    """One model over eps; the point at eps 0 is its clean accuracy."""

    fusion: str
    name: str
    points: list[Point]


class Panel(NamedTuple):
    """The curves under one condition."""

    title: str
    curves: list[Curve]


class Strength(NamedTuple):
    """The three panels of one data set, threat and attack."""

    title: str
    name: str  # for a file
    n: int
    panels: list[Panel]


def strengths(runs: pd.DataFrame) -> list[Strength]:
    """One for each data set, threat, attack and settings with two eps at least."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in strength(runs[runs["split"] == "test"].dropna(subset="average")):
        key = (*(str(row.labels[name]) for name in ("dataset", "threat", "attack")), row.settings)
        groups.setdefault(key, []).append(row)
    found = [
        _strength(key, rows)
        for key, rows in sorted(groups.items())
        if len({r.labels["eps"] for r in rows}) > 1
    ]
    return [one for one in found if one.panels[0].curves]


def _strength(key: tuple[str, ...], rows: list[Row]) -> Strength:
    dataset, threat, attack, settings = key
    title = f"{dataset}, {attack}, threat {threat}{f', {settings}' if settings else ''}"
    panels = [Panel(title, _curves(rows, condition)) for condition, title in TITLES.items()]
    which = (
        hashlib.sha256(settings.encode()).hexdigest()[:6] if settings else ""
    )  # settings may be very long
    name = "-".join(filter(None, ("fig3", dataset, attack, threat, which)))
    return Strength(title, name, min(row.n for row in rows), panels)


def _curves(rows: list[Row], condition: str) -> list[Curve]:
    found = []
    for fusion, name in NAMES.items():
        mine = [row for row in rows if row.labels["fusion"] == fusion]
        if len({row.labels["eps"] for row in mine}) > 1:
            points = [_point(row, condition, float(row.labels["eps"])) for row in mine]
            found.append(
                Curve(fusion, name, sorted([_point(mine[0], CONDITIONS[0], 0.0), *points]))
            )
    return found


def _point(row: Row, condition: str, eps: float) -> Point:
    cell = row.cells[condition]
    return Point(eps, cell.mean, cell.low, cell.high, row.runs[0])


class Axis(NamedTuple):
    """A logarithmic axis of eps from 0 to 1; eps 0 stands at its left end, a step before the least eps."""

    grid: list[float]  # every eps but 0

    def at(self, eps: float) -> float:
        """Where an eps stands."""
        least, most = math.log(self.grid[0]), math.log(self.grid[-1])
        return 0.0 if eps <= 0 else 0.12 + 0.88 * (math.log(eps) - least) / (most - least)

    @property
    def ticks(self) -> list[float]:
        """The eps that are named: as many as do not touch."""
        kept: list[float] = []
        for eps in self.grid:
            if not kept or self.at(eps) - self.at(kept[-1]) >= 0.1:
                kept.append(eps)
        return kept


def axis(panels: Sequence[Panel]) -> Axis:
    """The axis that panels side by side share."""
    return Axis(
        sorted(
            {p.eps for panel in panels for curve in panel.curves for p in curve.points if p.eps > 0}
        )
    )
