"""Points colored by class, for example a t-SNE of embeddings."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from avrobust.charts.figure import Chart, ChartPanel, Key
from avrobust.charts.notes import Note, Notes
from avrobust.charts.style import class_look, light, line_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = 0.55  # of a point, as a share of the usual marker
PANEL_WIDTH, TITLE_LINE = 1.7, 0.14  # in inches on paper
EDGE, CROSS_EDGE = 0.3, 1.0  # width of the edges of points
MARGIN = 0.03  # beyond 0 and 1


class ScatterPanel(NamedTuple):
    """Points on one pair of axes."""

    title: str  # may have several lines
    points: Sequence[tuple[float, float]]  # in [0, 1]; none leaves the panel empty
    labels: Sequence[int]  # places in the classes, one for each point


def scatter_chart(
    title: str, classes: Sequence[str], panels: Sequence[ScatterPanel], columns: int
) -> Chart:
    """Draws points in squares without ticks.

    Args:
        title: what the panels have in common.
        classes: their names.
        panels: one at least.
        columns: panels side by side on paper.
    """
    names = tuple(classes)
    present: set[int] = set()
    drawn = []
    title_lines = 1
    for panel in panels:
        present.update(panel.labels)
        drawn.append(ChartPanel(panel.title, partial(_draw, names, panel)))
        title_lines = max(title_lines, panel.title.count("\n") + 1)
    keys = tuple(Key(names[label], class_look(label), line=False) for label in sorted(present))
    height = PANEL_WIDTH + TITLE_LINE * title_lines
    content = (names, tuple(panels))
    return Chart(title, content, drawn, keys, PANEL_WIDTH, height, columns, same_y=False)


def _draw(classes: Sequence[str], panel: ScatterPanel, axes: "Axes", notes: Notes) -> None:
    from matplotlib import rcParams

    ends = (-MARGIN, 1 + MARGIN)
    axes.set(xticks=[], yticks=[], xlim=ends, ylim=ends)
    for spine in axes.spines.values():
        spine.set(visible=True, color=light("rule"))
    if not panel.points:
        axes.text(0.5, 0.5, "none", ha="center", transform=axes.transAxes, color=light("soft"))
    size = SIZE * float(rcParams["lines.markersize"])
    for label in sorted(set(panel.labels)):
        across, up = _points_of(label, panel)
        style = line_style(class_look(label), line=False)
        style["ms"] = size
        # A cross is nothing but edges; the others have a thin one.
        style["mew"] = CROSS_EDGE if style["marker"] == "x" else EDGE
        drawn = axes.plot(across, up, alpha=0.85, **style)
        notes.add(drawn[0], [Note(classes[label])])


def _points_of(label: int, panel: ScatterPanel) -> tuple[list[float], list[float]]:
    """The points of one class: across and up."""
    across, up = [], []
    for point, other in zip(panel.points, panel.labels, strict=True):
        if other == label:
            across.append(point[0])
            up.append(point[1])
    return across, up
