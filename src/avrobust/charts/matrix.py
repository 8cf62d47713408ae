"""Confusion matrices: what the clips of each class are taken for."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from avrobust.charts.figure import Chart, ChartPanel
from avrobust.charts.notes import Note, Notes
from avrobust.charts.style import light
from avrobust.charts.text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME_LENGTH = 15  # characters of a class that are shown
GAP = 0.04  # of a cell, on each side
MATRIX_SHARE = 0.72  # of a panel's width; the rest holds the names


class MatrixPanel(NamedTuple):
    """Counts of clips by class and prediction."""

    title: str
    counts: Sequence[Sequence[int]]  # [class][prediction]


def matrix_chart(title: str, classes: Sequence[str], panels: Sequence[MatrixPanel]) -> Chart:
    """Draws the share of each class's clips that is taken for each class.

    Args:
        title: what the matrices have in common.
        classes: their names, of any length.
        panels: one at least.
    """
    drawn = [ChartPanel(panel.title, partial(_draw, tuple(classes), panel)) for panel in panels]
    return Chart(title, (tuple(classes), tuple(panels)), drawn, (), 2.7, 2.7, 2)


def _draw(classes: Sequence[str], panel: MatrixPanel, axes: "Axes", notes: Notes) -> None:
    _draw_cells(classes, panel, axes, notes)
    names = [shortened(name, NAME_LENGTH) for name in classes]
    places = range(len(classes))
    size = _font_size(axes, len(classes))
    axes.set_xticks(places, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set_yticks(places, names, fontsize=size)
    axes.tick_params(length=0, pad=2)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_xlim(-0.5, len(classes) - 0.5)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    for spine in axes.spines.values():
        spine.set(visible=True, color=light("rule"))


def _draw_cells(classes: Sequence[str], panel: MatrixPanel, axes: "Axes", notes: Notes) -> None:
    """Draws the cells that hold clips, the darker the larger their share of the class."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    squares, colors, texts = [], [], []
    for true, counts in enumerate(panel.counts):
        total = sum(counts)
        for predicted, count in enumerate(counts):
            if count:
                squares.append(_square(predicted, true))
                # Right is blue and wrong is orange, so that a weak diagonal is seen at once.
                color = light("blue" if predicted == true else "orange")
                colors.append(to_rgba(color, max(count / total, 0.04)))
                pair = f"{classes[true]} taken for {classes[predicted]}"
                texts.append(Note(f"{pair}: {count} of {total}"))
    cells = PolyCollection(squares, facecolors=colors, edgecolors="none", linewidths=0)
    notes.add(cells, texts)
    axes.add_collection(cells)


def _square(column: int, row: int) -> list[tuple[float, float]]:
    half = 0.5 - GAP
    left, right, top, bottom = column - half, column + half, row - half, row + half
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _font_size(axes: "Axes", classes: int) -> float:
    """The usual size, or what fits into a row of the matrix, in points."""
    from matplotlib import rcParams

    grid = axes.get_gridspec()
    width = axes.figure.bbox.width / axes.figure.dpi * 72 / (grid.ncols if grid else 1)
    usual = float(rcParams["ytick.labelsize"])
    return min(usual, 0.95 * MATRIX_SHARE * width / max(classes, 1))
