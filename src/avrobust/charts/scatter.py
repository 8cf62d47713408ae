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
    present = sorted({label for panel in panels for label in panel.labels})
    keys = tuple(Key(classes[label], class_look(label), line=False) for label in present)
    drawn = [ChartPanel(panel.title, partial(_draw, tuple(classes), panel)) for panel in panels]
    lines = max(panel.title.count("\n") + 1 for panel in panels)
    height = PANEL_WIDTH + TITLE_LINE * lines
    content = (tuple(classes), tuple(panels))
    return Chart(title, content, drawn, keys, PANEL_WIDTH, height, columns, same_y=False)


def _draw(classes: Sequence[str], panel: ScatterPanel, axes: "Axes", notes: Notes) -> None:
    from matplotlib import rcParams

    ends = (-MARGIN, 1 + MARGIN)
    axes.set(xticks=[], yticks=[], xlim=ends, ylim=ends)
    for spine in axes.spines.values():
        spine.set(visible=True, color=light("rule"))
    if not panel.points:
        axes.text(0.5, 0.5, "none", ha="center", transform=axes.transAxes, color=light("soft"))
    for label in sorted(set(panel.labels)):
        chosen = [i for i, other in enumerate(panel.labels) if other == label]
        across = [panel.points[i][0] for i in chosen]
        up = [panel.points[i][1] for i in chosen]
        style = line_style(class_look(label), line=False)
        size = SIZE * float(rcParams["lines.markersize"])
        # A cross is nothing but edges; the others have a thin one.
        edge = CROSS_EDGE if style["marker"] == "x" else EDGE
        drawn = axes.plot(across, up, alpha=0.85, **{**style, "ms": size, "mew": edge})
        notes.add(drawn[0], [Note(classes[label])])
