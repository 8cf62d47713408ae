"""Heat maps with labeled contours, for example accuracy over the budgets of both modalities."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from avrobust.charts.axes import Axis, draw_axes
from avrobust.charts.figure import Chart, ChartPanel
from avrobust.charts.notes import Note, Notes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class HeatMap(NamedTuple):
    """One surface."""

    title: str
    values: Sequence[Sequence[float]]  # [y][x]
    low: float  # value of the first color
    high: float  # value of the last color
    levels: Sequence[float]  # of the contours; those that no value reaches are left out
    # Even in lightness, for the color-blind and in gray.
    colors: Literal["cividis", "magma_r"] = "cividis"


def heat_map_chart(
    title: str, maps: Sequence[HeatMap], x: Axis, y: Axis, names: tuple[str, str]
) -> Chart:
    """Draws surfaces over the same two axes.

    Args:
        title: what the surfaces have in common.
        maps: one at least.
        x: linear, with a tick for each column of the values.
        y: linear, with a tick for each row of the values.
        names: short ones of the two axes, for what the pointer shows: "audio 6, video 12: 34.6".
    """
    panels = [ChartPanel(surface.title, partial(_draw, surface, names, x, y)) for surface in maps]
    return Chart(title, (tuple(maps), x, y, names), panels, (), 2.6, 2.4, 3)


def _draw(
    surface: HeatMap, names: tuple[str, str], x: Axis, y: Axis, axes: "Axes", notes: Notes
) -> None:
    columns = [tick.value for tick in x.ticks]
    rows = [tick.value for tick in y.ticks]
    mesh = axes.pcolormesh(
        columns,
        rows,
        surface.values,
        cmap=surface.colors,
        vmin=surface.low,
        vmax=surface.high,
        shading="nearest",
        rasterized=True,  # in the PDF, where viewers show seams between the cells otherwise
        antialiased=False,
    )
    notes.add(mesh, _cell_notes(surface, names, x, y))
    _draw_contours(surface, columns, rows, axes)
    # The axes end with the outer cells, not with their centers.
    draw_axes(axes, x._replace(low=None, high=None), y._replace(low=None, high=None))
    for spine in axes.spines.values():
        spine.set_visible(False)


def _cell_notes(surface: HeatMap, names: tuple[str, str], x: Axis, y: Axis) -> list[Note]:
    notes = []
    for row, y_tick in enumerate(y.ticks):
        for column, x_tick in enumerate(x.ticks):
            place = f"{names[0]} {x_tick.label}, {names[1]} {y_tick.label}"
            notes.append(Note(f"{place}: {surface.values[row][column]:.1f}"))
    return notes


def _draw_contours(
    surface: HeatMap, columns: Sequence[float], rows: Sequence[float], axes: "Axes"
) -> None:
    least = min(min(row) for row in surface.values)
    most = max(max(row) for row in surface.values)
    levels = [level for level in surface.levels if least < level < most]
    if not levels or len(columns) < 2 or len(rows) < 2:
        return
    # Black on a white halo can be read on every color of the map, in both themes.
    values: Any = surface.values
    axes.contour(columns, rows, values, levels=levels, colors="white", linewidths=1.8, alpha=0.6)
    lines = axes.contour(columns, rows, values, levels=levels, colors="black", linewidths=0.7)
    for text in axes.clabel(lines, fontsize="small", colors="black", fmt="%g", inline=False):
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
        text.set(bbox=box, rotation=0)
