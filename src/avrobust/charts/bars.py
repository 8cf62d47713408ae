"""Groups of bars with intervals, for example the accuracy of several models by condition."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from avrobust.charts.axes import Axis, draw_axes, draw_grid
from avrobust.charts.figure import Chart, ChartPanel, Key
from avrobust.charts.notes import Note, Notes
from avrobust.charts.style import Look, light
from avrobust.charts.text import shortened_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME_LENGTH = 16  # characters in a line of a group's name
GROUP_SHARE = 0.8  # of the distance between two groups, filled by bars


class Bar(NamedTuple):
    """One bar."""

    value: float
    low: float  # the interval's lower end
    high: float  # the interval's upper end
    text: str = ""  # what the pointer shows, for example "34.62 (26 to 44)"
    link: str = ""  # where a click leads, for example "#run-..."


class BarSeries(NamedTuple):
    """The bars of one look, one in each group; None leaves a gap."""

    name: str
    bars: Sequence[Bar | None]
    look: Look


def bar_chart(title: str, groups: Sequence[str], series: Sequence[BarSeries], y: Axis) -> Chart:
    """Draws one group of bars for each name.

    Args:
        title: what the bars have in common.
        groups: stand below the groups; may have several lines.
        series: with a bar for each group.
        y: the vertical axis.

    Raises:
        ValueError: If a series has not one bar for each group.
    """
    keys = []
    for bar_series in series:
        name, bars, look = bar_series
        if len(bars) != len(groups):
            raise ValueError(f"{name!r}: {len(bars)} bars for {len(groups)} groups")
        keys.append(Key(name, look._replace(marker="s"), line=False))
    panel = ChartPanel("", partial(_draw, tuple(groups), tuple(series), y))
    width = max(2.6, 0.6 + 0.22 * len(groups) * (len(series) + 1))
    content = (tuple(groups), tuple(series), y)
    return Chart(title, content, (panel,), keys, width, 2.0, 1)


def _draw(
    groups: Sequence[str], series: Sequence[BarSeries], y: Axis, axes: "Axes", notes: Notes
) -> None:
    draw_axes(axes, Axis(""), y)
    draw_grid(axes)
    width = GROUP_SHARE / max(len(series), 1)
    for number, bar_series in enumerate(series):
        offset = width * (number - (len(series) - 1) / 2)
        for group, bar in enumerate(bar_series.bars):
            if bar is not None:
                _draw_bar(group + offset, width, bar, bar_series, groups[group], axes, notes)
    names = [shortened_lines(group, NAME_LENGTH) for group in groups]
    axes.set_xticks(range(len(groups)), names)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, len(groups) - 0.5)


def _draw_bar(
    place: float,
    width: float,
    bar: Bar,
    series: BarSeries,
    group: str,
    axes: "Axes",
    notes: Notes,
) -> None:
    drawn = axes.bar(
        [place],
        [bar.value],
        0.92 * width,
        color=light(series.look.color),
        hatch=series.look.hatch,
        edgecolor=light("card"),
        linewidth=0.3,
    )
    axes.plot([place, place], [bar.low, bar.high], color=light("ink"), lw=0.8)
    name = f"{' '.join(group.split())}, {series.name}"
    text = f"{name}: {bar.text}" if bar.text else name
    notes.add(drawn.patches[0], [Note(text, bar.link)])
