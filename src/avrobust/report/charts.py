"""Numbers as the points of the page's SVG."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from avrobust.analyses.embeddings.section import Cloud, Similarity
from avrobust.analyses.localization.section import Point as Place
from avrobust.analyses.strength.section import PANELS, budgets
from avrobust.report.curves import Axis, Point


class Frame(NamedTuple):
    """Where a chart's values lie in its picture."""

    left: float = 30.0
    right: float = 292.0
    top: float = 10.0
    bottom: float = 178.0

    def x(self, share: float) -> float:
        """From 0 to 1."""
        return round(self.left + share * (self.right - self.left), 1)

    def y(self, percent: float) -> float:
        """From 0 to 100."""
        return round(self.bottom - percent / 100 * (self.bottom - self.top), 1)


FRAME = Frame()


def points(values: list[Point], along: Axis) -> str:
    """A curve for SVG's polyline."""
    return " ".join(f"{FRAME.x(along.at(p.eps))},{FRAME.y(p.mean)}" for p in values)


def band(values: list[Point], along: Axis) -> str:
    """The intervals of a curve for SVG's polygon."""
    upper = [f"{FRAME.x(along.at(p.eps))},{FRAME.y(p.high)}" for p in values]
    lower = [f"{FRAME.x(along.at(p.eps))},{FRAME.y(p.low)}" for p in reversed(values)]
    return " ".join([*upper, *lower])


def path(values: list[Place]) -> str:
    """A curve over shares of eps for SVG's polyline."""
    return " ".join(f"{FRAME.x(p.share)},{FRAME.y(p.value)}" for p in values)


def area(values: list[Place]) -> str:
    """The intervals of such a curve for SVG's polygon."""
    upper = [f"{FRAME.x(p.share)},{FRAME.y(p.high)}" for p in values]
    lower = [f"{FRAME.x(p.share)},{FRAME.y(p.low)}" for p in reversed(values)]
    return " ".join([*upper, *lower])


class Scale(NamedTuple):
    """The axes of cosines by budget: eps from 0 to `most`, cosines from `low` to `high`."""

    most: float
    low: float
    high: float

    def x(self, eps: float) -> float:
        """Where an eps stands."""
        return FRAME.x(eps / self.most)

    def y(self, value: float) -> float:
        """Where a cosine stands."""
        return FRAME.y(100 * (value - self.low) / (self.high - self.low))

    @property
    def ticks(self) -> list[float]:
        """The cosines that are named."""
        return [round(self.low + i * (self.high - self.low) / 4, 3) for i in range(5)]

    def line(self, values: list[tuple[float, float, float]]) -> str:
        """A curve for SVG's polyline."""
        return " ".join(f"{self.x(eps)},{self.y(mean)}" for eps, mean, _ in values)

    def band(self, values: list[tuple[float, float, float]]) -> str:
        """A deviation to each side of it for SVG's polygon."""
        upper = [f"{self.x(eps)},{self.y(mean + deviation)}" for eps, mean, deviation in values]
        lower = [
            f"{self.x(eps)},{self.y(mean - deviation)}" for eps, mean, deviation in reversed(values)
        ]
        return " ".join([*upper, *lower])


def scale(similarities: list[Similarity]) -> Scale:
    """The axes that panels side by side share, in steps of a fifth, so that quarters are short."""
    every = [point for one in similarities for values in one.values.values() for point in values]
    low = math.floor(min(mean - deviation for _, mean, deviation in every) * 5) / 5
    high = math.ceil(max(mean + deviation for _, mean, deviation in every) * 5) / 5
    return Scale(max(eps for eps, *_ in every), low, max(high, low + 0.2))


def dots(cloud: Cloud, labels: list[int]) -> Iterator[tuple[int, str]]:
    """The clips of each class as a path of dots, in a square of 100."""
    found: dict[int, list[str]] = {}
    for (x, y), label in zip(cloud.points, labels, strict=True):
        found.setdefault(label, []).append(f"M{100 * x:.1f} {100 * (1 - y):.1f}h0")
    return ((label, "".join(found[label])) for label in sorted(found))


class Cell(NamedTuple):
    """One pair of budgets of a surface."""

    x: float
    y: float
    share: float  # of the darkest, in [0, 1]
    text: str


def cells(content: Mapping[str, Any], name: str) -> list[Cell]:
    """A surface as squares of side 1, audio to the right and video up.

    Args:
        content: of strength.json.
        name: one of its surfaces.
    """
    values, eps = content["surface"][name], budgets(content)
    most = 100 if name == "accuracy" else max(1.0, *map(max, values))
    return [
        Cell(
            i,
            len(row) - 1 - j,
            round(value / most, 3),
            f"audio {eps[0][i]:.3g}, video {eps[1][j]:.3g}: {value:.1f}",
        )
        for i, row in enumerate(values)
        for j, value in enumerate(row)
    ]


class Contour(NamedTuple):
    """A line on which a surface has one value."""

    level: float
    points: str  # of SVG's polyline
    x: float  # where the value is written
    y: float


def contours(content: Mapping[str, Any], name: str) -> list[Contour]:
    """The labeled contours of a surface, in the squares of `cells`."""
    from contourpy import (
        contour_generator,
    )  # comes with matplotlib, which draws its contours with it

    values = content["surface"][name]
    last = len(values) - 1
    found = []
    for level in PANELS[name].lines:
        lines: Any = contour_generator(z=values).lines(level)
        for line in lines:  # of [audio][video], where contourpy's x is the video's place
            points = [(round(float(i) + 0.5, 2), round(last - float(j) + 0.5, 2)) for j, i in line]
            x, y = points[len(points) // 2]
            found.append(Contour(level, " ".join(f"{x},{y}" for x, y in points), x, y))
    return found
