"""A chart: for the page as HTML with inline SVG, for the paper as PDF and PNG."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, final

from markupsafe import Markup

from avrobust.charts.files import is_current, write_files
from avrobust.charts.notes import Notes
from avrobust.charts.style import (
    PAGE_FONT,
    PAGE_SCALE,
    PAPER_FONT,
    Look,
    light,
    settings,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

SVG_DPI = 72  # so that a point is a unit of the SVG
KEY_WIDTH, KEY_HEIGHT = 24, 10  # of a legend's line and marker on the page, in pixels


class ChartPanel(NamedTuple):
    """One pair of axes and how it is drawn."""

    title: str
    draw: Callable[["Axes", Notes], None]


class Key(NamedTuple):
    """One entry of a legend."""

    name: str
    look: Look
    line: bool = True  # a line with its marker; otherwise the marker alone


@final
@dataclass(frozen=True)
class Chart:
    """Panels side by side with one legend.

    Attributes:
        title: what the panels share; the heading on paper, the name for screen readers on the page.
        content: the values that are drawn. Their repr decides whether a file has to be drawn again.
        panels: in reading order.
        keys: the legend.
        width: of a panel on paper, in inches.
        height: of a panel on paper, in inches.
        columns: panels side by side on paper; the page breaks lines where it has to.
        same_y: whether the panels share their vertical axis.
    """

    title: str
    content: object
    panels: Sequence[ChartPanel]
    keys: Sequence[Key]
    width: float
    height: float
    columns: int
    same_y: bool = True

    def html(self) -> Markup:
        """Draws the chart for the page: one SVG for each panel, which lines up with the others.

        The page has to hold `charts.style.css()` in its style sheet.
        """
        pieces = []
        for panel in self.panels:
            pieces.append(_panel_svg(self, panel))
        legend = Markup("")
        for key in self.keys:
            legend += Markup("<span>{}{}</span>").format(_key_svg(key.look, key.line), key.name)
        if legend:
            legend = Markup('<p class="chart-legend" style="--key: {}px">{}</p>').format(
                KEY_WIDTH if self.keys[0].line else KEY_HEIGHT, legend
            )
        # A panel may shrink to four fifths of its own size and grow to half as much again.
        own = PAGE_SCALE * SVG_DPI * self.width
        sizes = f"--panel: {0.8 * own:.0f}px; --least: min({0.8 * own:.0f}px, "
        sizes += f"{max(0.8 * own - 260, 0):.0f}px + 100%); --most: {1.5 * own:.0f}px"
        return Markup(
            '<div class="chart">{}<div class="chart-panels" style="{}">{}</div></div>'
        ).format(legend, sizes, Markup("").join(pieces))

    def save(self, folder: Path, name: str) -> bool:
        """Writes NAME.pdf and NAME.png, unless they are there with the same content.

        Args:
            folder: is made if it is not there.
            name: may come from disk; what is no letter, digit, dot, dash or underscore becomes an
                underscore.

        Returns:
            Whether the files were written.
        """
        plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
        content = (self.title, self.content)
        if is_current(folder, plain, content):
            return False
        with _matplotlib(PAPER_FONT):
            write_files(_paper_figure(self), folder, plain, content)
        return True


def _matplotlib(font: float) -> Any:
    """A context with the charts' settings, which leaves the user's own as they are."""
    from avrobust.charts.files import drawing

    return drawing(settings(font))


def _panel_svg(chart: Chart, panel: ChartPanel) -> Markup:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from avrobust.charts.svg import figure_svg

    with _matplotlib(PAGE_FONT):
        size = (PAGE_SCALE * chart.width, PAGE_SCALE * chart.height)
        figure = Figure(figsize=size, dpi=SVG_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        notes = Notes()
        axes = figure.subplots()
        panel.draw(axes, notes)
        axes.set_title(panel.title)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        label = f"{chart.title}, {panel.title}" if panel.title else chart.title
        return Markup(figure_svg(figure, notes.by_gid, label))  # the renderer escapes text


def _paper_figure(chart: Chart) -> "Figure":
    from matplotlib.figure import Figure

    columns = min(chart.columns, len(chart.panels))
    rows = -(-len(chart.panels) // columns)
    legend_width = 1.0 if chart.keys else 0.0
    size = (chart.width * columns + legend_width, chart.height * rows + 0.25)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=chart.same_y).ravel()
    for number, axes in enumerate(grid):
        if number >= len(chart.panels):
            axes.set_axis_off()
            continue
        chart.panels[number].draw(axes, Notes())
        axes.set_title(chart.panels[number].title)
        if chart.same_y and number % columns:
            axes.set_ylabel("")
            axes.tick_params(axis="y", labelleft=False)
    if chart.keys:
        handles = [_handle(key) for key in chart.keys]
        figure.legend(handles=handles, loc="outside right upper")
    figure.suptitle(chart.title, fontsize=PAPER_FONT, color=light("ink"))
    return figure


def _handle(key: Key) -> "Line2D":
    from matplotlib.lines import Line2D

    return Line2D([], [], label=key.name, **line_style(key.look, key.line))


@cache
def _key_svg(look: Look, line: bool) -> Markup:
    """The line and marker of a legend's entry."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from avrobust.charts.svg import figure_svg

    width = KEY_WIDTH if line else KEY_HEIGHT
    with _matplotlib(PAGE_FONT):
        figure = Figure(figsize=(width / SVG_DPI, KEY_HEIGHT / SVG_DPI), dpi=SVG_DPI)
        style = line_style(look, line)
        places = [0.04, 0.96] if line else []
        figure.add_artist(Line2D(places, [0.5] * len(places), **{**style, "marker": ""}))
        figure.add_artist(Line2D([0.5], [0.5], **{**style, "ls": ""}))
        return Markup(figure_svg(figure, {}, "").replace('role="img"', 'aria-hidden="true"'))


def line_style(look: Look, line: bool = True) -> dict[str, Any]:
    """Arguments of matplotlib's Line2D."""
    color = light(look.color)
    # Markers with a thin edge in the background's color stay apart where curves cross.
    edge = color if look.marker in "x+" else light("card")
    return {
        "color": color,
        "ls": look.dashes if line else "",
        "marker": look.marker,
        "markeredgecolor": edge,
    }
