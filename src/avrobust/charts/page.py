"""Charts on the page: HTML that holds a legend and one SVG for each panel."""

from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from avrobust.charts.notes import Notes
from avrobust.charts.style import PAGE_FONT, Look, line_style
from avrobust.charts.svg import figure_svg
from avrobust.charts.text import line_length, plain, shortened_lines

if TYPE_CHECKING:
    from avrobust.charts.figure import Chart, ChartPanel

DPI = 72  # so that a point is a unit of the SVG
SCALE = 1.75  # the page's panels are so much larger than the paper's
PAD = 0.2  # around a panel, as a share of the text's size
KEY_WIDTH, KEY_HEIGHT = 24, 10  # of a legend's line and marker, in pixels
KEY_MARKER = 7  # size of a legend's marker without a line, in pixels
WIDE = 400  # pixels; a panel of more is scrolled on a narrow screen


def chart_html(chart: "Chart") -> Markup:
    """Draws a chart; matplotlib has the charts' settings already."""
    panels = Markup("")
    for panel in chart.panels:
        panels += _panel_svg(chart, panel)
    # A panel grows and shrinks with the page, within these limits.
    own = SCALE * DPI * chart.width
    least = 0.8 * own if own > WIDE else 0
    sizes = f"--panel: {0.8 * own:.0f}px; --least: {least:.0f}px; --most: {1.25 * own:.0f}px"
    whole = '<div class="chart">{}<div class="chart-panels" style="{}">{}</div></div>'
    return Markup(whole).format(_legend(chart), sizes, panels)


def _legend(chart: "Chart") -> Markup:
    entries = Markup("")
    for key in chart.keys:
        entries += Markup("<span>{}{}</span>").format(_key_svg(key.look, key.line), plain(key.name))
    return Markup('<p class="chart-legend">{}</p>').format(entries) if entries else entries


def _panel_svg(chart: "Chart", panel: "ChartPanel") -> Markup:
    size = (SCALE * chart.width, SCALE * chart.height)
    figure = Figure(figsize=size, dpi=DPI)
    FigureCanvasAgg(figure)  # measures text
    notes = Notes()
    axes = figure.subplots()
    panel.draw(axes, notes)
    # As many lines as any other panel's title has, so that all axes are of one size.
    lines = max(other.title.count("\n") for other in chart.panels)
    title = shortened_lines(panel.title, line_length(DPI * size[0], PAGE_FONT))
    axes.set_title(title + "\n" * (lines - title.count("\n")))
    figure.tight_layout(pad=PAD)
    label = f"{chart.title}, {panel.title}" if panel.title else chart.title
    return Markup(figure_svg(figure, notes.by_gid, label))  # the renderer has escaped all text


@cache
def _key_svg(look: Look, line: bool) -> Markup:
    """The line and marker of a legend's entry."""
    width = KEY_WIDTH if line else KEY_HEIGHT
    figure = Figure(figsize=(width / DPI, KEY_HEIGHT / DPI), dpi=DPI)
    style = line_style(look, line)
    if line:
        figure.add_artist(Line2D([0.04, 0.96], [0.5, 0.5], **{**style, "marker": ""}))
    else:
        style["ms"] = KEY_MARKER
    figure.add_artist(Line2D([0.5], [0.5], **{**style, "ls": ""}))
    svg = figure_svg(figure, {}, "").replace(' role="img"', f' width="{width}" aria-hidden="true"')
    return Markup(svg.replace(' aria-label=""', ""))
