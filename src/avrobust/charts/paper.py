"""Charts on paper: all panels in one figure of matplotlib."""

import math
from textwrap import wrap
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from avrobust.charts.notes import Notes
from avrobust.charts.style import PAPER_FONT, light, line_style
from avrobust.charts.text import line_length, plain, shortened, shortened_lines

if TYPE_CHECKING:
    from avrobust.charts.figure import Chart, Key

LEGEND_WIDTH, LEGEND_LINE = 1.0, 0.2  # of a legend's column, and of an entry, in inches
NAME_LENGTH = 24  # characters in a line of the legend
DPI = 72  # points in an inch
HEADING = 0.25  # height of the chart's title, in inches


def paper_figure(chart: "Chart") -> Figure:
    """Draws a chart; matplotlib has the charts' settings already."""
    columns = min(chart.columns, len(chart.panels))
    rows = math.ceil(len(chart.panels) / columns)
    height = chart.height * rows + HEADING
    legend_columns = math.ceil(LEGEND_LINE * len(chart.keys) / height)
    width = chart.width * columns + LEGEND_WIDTH * legend_columns
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=chart.same_y).ravel()
    for axes in grid[len(chart.panels) :]:
        axes.set_axis_off()
    title_length = line_length(DPI * chart.width, PAPER_FONT)
    for number, panel in enumerate(chart.panels):
        axes = grid[number]
        panel.draw(axes, Notes())
        axes.set_title(shortened_lines(panel.title, title_length))
        if chart.same_y and number % columns:
            axes.set_ylabel("")
            axes.tick_params(axis="y", labelleft=False)
    if chart.keys:
        handles = [_handle(key) for key in chart.keys]
        figure.legend(handles=handles, loc="outside right upper", ncols=legend_columns)
    title = wrap(plain(chart.title), line_length(DPI * width, PAPER_FONT))
    figure.suptitle("\n".join(title), fontsize=PAPER_FONT, color=light("ink"))
    return figure


def _handle(key: "Key") -> Line2D:
    return Line2D([], [], label=shortened(key.name, NAME_LENGTH), **line_style(key.look, key.line))
