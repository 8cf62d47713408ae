"""Axes of charts: ticks, limits, and the logarithmic axis of budgets, which begins at 0."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from avrobust.charts.style import light
from avrobust.charts.text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL_LENGTH, TICK_LENGTH = 32, 12  # characters
ZERO_SHARE = 0.12  # of a logarithmic axis, from 0 to the least positive value
# The room that the label of a tick takes: of an axis, for a character and between two labels.
CHARACTER_SHARE, SPACE_SHARE = 0.03, 0.03


class Tick(NamedTuple):
    """A value with its label."""

    value: float
    label: str


class Axis(NamedTuple):
    """One axis.

    The values of a logarithmic axis are 0 and those between its least and its largest positive
    tick; 0 stands at the left end.
    """

    label: str
    ticks: Sequence[Tick] = ()  # without any, matplotlib places them
    low: float | None = None  # without limits, the axis ends with the data
    high: float | None = None
    scale: Literal["linear", "log"] = "linear"

    def at(self, value: float) -> float:
        """Where a value stands: on a logarithmic axis in [0, 1], otherwise at itself."""
        if self.scale == "linear":
            return value
        positive = [tick.value for tick in self.ticks if tick.value > 0]
        if value <= 0 or not positive:
            return 0.0
        least, most = math.log(min(positive)), math.log(max(positive))
        if least == most:
            return 1.0
        return ZERO_SHARE + (1 - ZERO_SHARE) * (math.log(value) - least) / (most - least)

    def labeled(self) -> list[Tick]:
        """The ticks whose labels do not touch, the first among them.

        A linear axis keeps every second, third, ... of its ticks; a logarithmic one as many as fit.
        """
        if self.scale == "linear":
            for step in range(1, len(self.ticks)):
                kept = list(self.ticks[::step])
                if all(self._is_apart(kept[i], kept[i + 1]) for i in range(len(kept) - 1)):
                    return kept
            return list(self.ticks[:1])
        kept = []
        for tick in self.ticks:
            if not kept or self._is_apart(kept[-1], tick):
                kept.append(tick)
        return kept

    def _is_apart(self, left: Tick, right: Tick) -> bool:
        """Whether there is room between the labels of two ticks."""
        extent = self.at(self.ticks[-1].value) - self.at(self.ticks[0].value)
        characters = (len(left.label) + len(right.label)) / 2
        room = (CHARACTER_SHARE * characters + SPACE_SHARE) * extent
        # The tolerance keeps ticks at exactly this distance, whatever the rounding.
        return self.at(right.value) - self.at(left.value) >= room * (1 - 1e-9)


def with_limits(axis: Axis, values: Sequence[float]) -> Axis:
    """The axis with limits for these values, where it has none of its own."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.04 * ((high - low) or 1.0)
    return axis._replace(
        low=low - margin if axis.low is None else axis.low,
        high=high + margin if axis.high is None else axis.high,
    )


def draw_axes(axes: "Axes", x: Axis, y: Axis) -> None:
    """Labels both axes and sets their limits."""
    axes.set(xlabel=shortened(x.label, LABEL_LENGTH), ylabel=shortened(y.label, LABEL_LENGTH))
    for axis, set_ticks in ((x, axes.set_xticks), (y, axes.set_yticks)):
        if axis.ticks:
            ticks = axis.labeled()
            labels = [shortened(tick.label, TICK_LENGTH) for tick in ticks]
            set_ticks([axis.at(tick.value) for tick in ticks], labels)
    if y.low is not None and y.high is not None:
        axes.set_ylim(y.low, y.high)
    if x.low is not None and x.high is not None:
        axes.set_xlim(x.low, x.high)


def draw_grid(axes: "Axes") -> None:
    """Draws thin horizontal lines in place of the vertical axis."""
    axes.grid(axis="y", color=light("rule"))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
