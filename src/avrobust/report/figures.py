"""The charts of tables: accuracy over eps (Fig. 3), fusions and defenses."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from avrobust.analyses.base import NamedChart
from avrobust.charts.axes import Axis, Tick
from avrobust.charts.bars import Bar, BarSeries, bar_chart
from avrobust.charts.figure import Chart
from avrobust.charts.lines import LinePanel, LinePoint, LineSeries, line_chart
from avrobust.charts.style import NEUTRAL, Look, series_look
from avrobust.report.analyses import analyzed_runs
from avrobust.report.curves import Curve, StrengthFigure, strength_figures
from avrobust.report.load import RunEntry
from avrobust.report.rows import Row
from avrobust.report.tables import TABLE2, TABLE3, Layout, protocol_rows
from avrobust.types import ConditionInfo
from avrobust.utils.format import condition_words, thousandths

ACCURACY = Axis("accuracy in %", low=0, high=100)
FIRST_STEP = 0.12  # share of the axis from eps 0 to the least eps of a logarithmic axis
TICK_DISTANCE = 0.1  # share of the axis that ticks are apart at least


def write_figures(entries: Sequence[RunEntry], folder: Path) -> int:
    """Writes every chart that the runs are enough for; a chart that would be the same stays.

    Returns:
        How many charts there are.
    """
    charts = [*strength_charts(entries), *bar_charts(entries)]
    for analyzed in analyzed_runs(entries):
        charts += analyzed.analysis.charts(analyzed.runs)
    for chart in charts:
        chart.chart.save(folder, chart.report_name)
    return len(charts)


def strength_charts(entries: Sequence[RunEntry]) -> list[NamedChart]:
    """Accuracy over eps: a chart for each data set, threat and attack; a panel a condition."""
    charts = []
    for figure in strength_figures(entries):
        charts.append(NamedChart(figure.name, _strength_chart(figure)))
    return charts


def bar_charts(entries: Sequence[RunEntry]) -> list[NamedChart]:
    """Fusions and defenses, by data set and threat: a group of bars for each row of a table."""
    charts = []
    for layout in (TABLE2, TABLE3):
        charts += list(_bar_charts(layout, entries))
    return charts


def _strength_chart(figure: StrengthFigure) -> Chart:
    grid = sorted({point.eps for curve in _curves(figure) for point in curve.points if point.eps})
    looks: dict[str, Look] = {}
    for curve in _curves(figure):
        looks.setdefault(curve.name, series_look(len(looks)))
    panels = []
    for panel in figure.panels:
        series = []
        for curve in panel.curves:
            points = [_line_point(curve, place, grid) for place in range(len(curve.points))]
            series.append(LineSeries(curve.name, points, looks[curve.name]))
        panels.append(LinePanel(condition_words(panel.condition), series))
    return line_chart(f"{figure.title}, n = {figure.n}", panels, _eps_axis(grid), ACCURACY)


def _curves(figure: StrengthFigure) -> Iterator[Curve]:
    for panel in figure.panels:
        yield from panel.curves


def _line_point(curve: Curve, place: int, grid: Sequence[float]) -> LinePoint:
    point = curve.points[place]
    interval = f"({point.low:.0f} to {point.high:.0f})"
    return LinePoint(
        x=_position(point.eps, grid),
        y=point.mean,
        low=point.low,
        high=point.high,
        text=f"{curve.name}, eps {point.eps:g}: {point.mean:.2f} {interval}",
        link=f"#run-{point.run}",
    )


def _eps_axis(grid: Sequence[float]) -> Axis:
    """A logarithmic axis of eps from 0 to 1; eps 0 is at its left end, a step before the others."""
    ticks = [Tick(0.0, "0")]
    for eps in grid:
        position = _position(eps, grid)
        if position - ticks[-1].value >= TICK_DISTANCE:
            ticks.append(Tick(position, thousandths(eps)))
    return Axis("eps × 1000", ticks, low=-0.02, high=1.02)


def _position(eps: float, grid: Sequence[float]) -> float:
    if eps <= 0:
        return 0.0
    least, most = math.log(grid[0]), math.log(grid[-1])
    return FIRST_STEP + (1 - FIRST_STEP) * (math.log(eps) - least) / (most - least)


def _bar_charts(layout: Layout, entries: Sequence[RunEntry]) -> Iterator[NamedChart]:
    """A chart for each data set and threat with two finished rows at least."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in protocol_rows(layout, entries):
        groups.setdefault((row.labels.dataset, row.labels.threat), []).append(row)
    for (dataset, threat), group in groups.items():
        if len(group) < 2:
            continue
        first = group[0]
        attack, eps = first.labels.attack, f"{first.labels.eps:g}"
        title = f"{dataset}, {attack}, threat {threat}, eps {eps}, n = {first.n}"
        names = [_bar_name(layout, row) for row in group]
        series = []
        for place, condition in enumerate(first.conditions):
            look = NEUTRAL if condition.clean else series_look(place - 1)
            series.append(_bar_series(condition, group, names, look))
        chart = bar_chart(title, names, series, ACCURACY)
        yield NamedChart(f"{layout.axis}s-{dataset}-{threat}", chart)


def _bar_name(layout: Layout, row: Row) -> str:
    """What stands under a group of bars."""
    name = str(getattr(row.labels, layout.axis)).replace("_", " ")
    return f"{name} ({row.settings})" if row.settings else name


def _bar_series(
    condition: ConditionInfo, group: Sequence[Row], names: Sequence[str], look: Look
) -> BarSeries:
    bars: list[Bar | None] = []
    for row, name in zip(group, names, strict=True):
        cell = row.cells.get(condition.name)
        if cell is None:
            bars.append(None)
            continue
        text = f"{name}, {condition.title}: {cell.mean:.2f} ({cell.low:.0f} to {cell.high:.0f})"
        bars.append(Bar(cell.mean, cell.low, cell.high, text, f"#run-{row.runs[0]}"))
    return BarSeries(condition.title, bars, look)
