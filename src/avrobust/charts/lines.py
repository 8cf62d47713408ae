"""Curves with bands over a budget or another quantity, in panels side by side."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from avrobust.charts.axes import Axis, draw_axes, draw_grid, with_limits
from avrobust.charts.figure import Chart, ChartPanel, Key
from avrobust.charts.notes import Note, Notes
from avrobust.charts.style import Look, light, line_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAND_ALPHA = 0.13
REFERENCE_DASHES = ("--", ":", "-.")
WIDTHS = {1: 3.2, 2: 2.9}  # of a panel in inches, by the number of panels; 2.3 for more


class LinePoint(NamedTuple):
    """One point of a curve."""

    x: float
    y: float
    low: float  # the band's lower end
    high: float  # the band's upper end
    text: str = ""  # what the pointer shows, for example "eps 0.006: 34.62 (26 to 44)"
    link: str = ""  # where a click leads, for example "#run-..."


class LineSeries(NamedTuple):
    """One curve."""

    name: str
    points: Sequence[LinePoint]
    look: Look


class Reference(NamedTuple):
    """A horizontal line to compare with, for example what a guess scores."""

    name: str
    value: float


class LinePanel(NamedTuple):
    """The curves on one pair of axes."""

    title: str
    series: Sequence[LineSeries]
    references: Sequence[Reference] = ()


def line_chart(title: str, panels: Sequence[LinePanel], x: Axis, y: Axis) -> Chart:
    """Draws curves with their bands; panels share both axes.

    Args:
        title: what the panels have in common.
        panels: one at least.
        x: with a tick for each value that may be labeled.
        y: without limits it ends with the data of all panels.
    """
    values: list[float] = []
    for panel in panels:
        values.extend(reference.value for reference in panel.references)
        for series in panel.series:
            for point in series.points:
                values.extend((point.low, point.y, point.high))
    y = with_limits(y, values)
    # A reference has the same look in all panels, though not every panel has every reference.
    looks: dict[str, Look] = {}
    keys: dict[str, Key] = {}
    drawn = []
    for panel in panels:
        for series in panel.series:
            keys.setdefault(series.name, Key(series.name, series.look))
        for reference in panel.references:
            dashes = REFERENCE_DASHES[len(looks) % len(REFERENCE_DASHES)]
            look = looks.setdefault(reference.name, Look("soft", "", dashes))
            keys.setdefault(reference.name, Key(reference.name, look))
        drawn.append(ChartPanel(panel.title, partial(_draw, panel, looks, x, y)))
    width = WIDTHS.get(len(panels), 2.3)
    content = (tuple(panels), x, y)
    return Chart(title, content, drawn, tuple(keys.values()), width, 1.75, 3)


def _draw(
    panel: LinePanel, looks: Mapping[str, Look], x: Axis, y: Axis, axes: "Axes", notes: Notes
) -> None:
    draw_axes(axes, x, y)
    draw_grid(axes)
    for reference in panel.references:
        _draw_reference(reference, looks[reference.name], axes, notes)
    for series in panel.series:
        places = [x.at(point.x) for point in series.points]
        means = [point.y for point in series.points]
        lows = [point.low for point in series.points]
        highs = [point.high for point in series.points]
        color = light(series.look.color)
        axes.fill_between(places, lows, highs, color=color, alpha=BAND_ALPHA, lw=0)
        style = line_style(series.look)
        axes.plot(places, means, **{**style, "marker": ""})
        markers = axes.plot(places, means, clip_on=False, **{**style, "ls": ""})
        texts = []
        for point in series.points:
            text = f"{series.name}, {point.text}" if point.text else series.name
            texts.append(Note(text, point.link))
        notes.add(markers[0], texts)


def _draw_reference(reference: Reference, look: Look, axes: "Axes", notes: Notes) -> None:
    line = axes.axhline(reference.value, ls=look.dashes, lw=0.8, color=light(look.color))
    notes.add(line, [Note(f"{reference.name}: {reference.value:.1f}")])
