"""The smallest budgets in charts and in sentences."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from avrobust.analyses.base import (
    Analyzed,
    NamedChart,
    Render,
    Section,
    first_seeds_first,
    within,
)
from avrobust.analyses.surface.outcome import Percentages, SurfaceOutcome
from avrobust.charts.axes import Axis, Tick
from avrobust.charts.figure import Chart
from avrobust.charts.heat_map import HeatMap, heat_map_chart
from avrobust.charts.lines import LinePanel, LinePoint, LineSeries, line_chart
from avrobust.charts.style import series_look
from avrobust.types import Modality
from avrobust.utils.format import interval_text

MOST = 12  # runs on the page
ACCURACY_LEVELS = (10, 25, 50, 75, 90)  # of the contours, in percent
GAIN_LEVELS = (2, 5, 10, 20, 30, 40, 60)  # of the contours, in points
FOLDER = Path(__file__).parent


def charts(analyzed: Sequence[Analyzed[SurfaceOutcome]]) -> list[NamedChart]:
    """Of each run the curves and the surface."""
    named = []
    for one in first_seeds_first(analyzed)[:MOST]:
        named.append(NamedChart("surface-curves", curves_chart(one), one.run_id))
        named.append(NamedChart("surface", surface_chart(one), one.run_id))
    return named


def section(
    analyzed: Sequence[Analyzed[SurfaceOutcome]], render: Render, most: int
) -> Section | None:
    """The section of the page."""
    articles = within((_article(one, render) for one in first_seeds_first(analyzed)[:MOST]), most)
    if not articles:
        return None
    html = render(FOLDER / "section.html", articles=articles, total=len(analyzed))
    return Section("surface", "Strength", html)


def _article(one: Analyzed[SurfaceOutcome], render: Render) -> Markup:
    return render(
        FOLDER / "article.html",
        run_id=one.run_id,
        title=one.title,
        n=one.outcome.n,
        charts=[curves_chart(one).html(), surface_chart(one).html()],
        sentences=sentences(one.outcome),
    )


def sentences(outcome: SurfaceOutcome) -> list[str]:
    """What attacking both modalities does beyond attacking one."""
    table = outcome.interaction
    accuracy, largest = table.accuracy, outcome.largest
    return [
        f"At the largest budgets, eps {largest['audio']:g} on audio and {largest['visual']:g} on "
        f"video, accuracy falls from {accuracy[0][0]:.1f} % to {accuracy[-1][0]:.1f} % by audio "
        f"alone, {accuracy[0][-1]:.1f} % by video alone and {accuracy[-1][-1]:.1f} % by both.",
        "Beyond the better single attack of the same budget, attacking both gains "
        f"{_largest_gain(outcome)}.",
        f"Of all clips, {table.saved_by_visual[-1][-1]:.1f} % fall to both at the largest budgets "
        f"but not with the video intact, {table.saved_by_audio[-1][-1]:.1f} % not with the audio "
        f"intact, {table.neither[-1][-1]:.1f} % to neither alone; {table.unsaved[-1][-1]:.1f} % "
        "fall to either alone.",
    ]


def _largest_gain(outcome: SurfaceOutcome) -> str:
    audio, visual = outcome.budgets("audio"), outcome.budgets("visual")
    cells = []
    for i, row in enumerate(outcome.interaction.gain):
        for j, gain in enumerate(row):
            cells.append((gain, i, j))
    most, i, j = max(cells)
    if most <= 0:
        return "nothing anywhere"
    return f"at most {most:.1f} points, at {audio[i]:g} and {visual[j]:g}"


def curves_chart(one: Analyzed[SurfaceOutcome]) -> Chart:
    """Accuracy over the share of the largest budgets, a curve for each set of modalities."""
    outcome = one.outcome
    series = []
    for number, curve in enumerate(outcome.curves):
        points = []
        for share, accuracy in zip(outcome.shares, curve.accuracy, strict=True):
            value, low, high = accuracy.percent, accuracy.low, accuracy.high
            text = f"{share:.3g} of the largest eps: {interval_text(value, low, high)}"
            points.append(LinePoint(share, value, low, high, text, f"#run-{one.run_id}"))
        series.append(LineSeries(curve.title, points, series_look(number)))
    ticks = [Tick(share, f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1)]
    x = Axis("share of the largest eps", ticks)
    y = Axis("accuracy in %", low=0, high=100)
    return line_chart(_chart_title(one), [LinePanel("", series)], x, y)


def surface_chart(one: Analyzed[SurfaceOutcome]) -> Chart:
    """Accuracy and the gain of attacking both, over every pair of budgets."""
    table = one.outcome.interaction
    gain = _by_visual(table.gain)
    highest = max(1.0, max(max(row) for row in gain))
    maps = [
        HeatMap("accuracy in %", _by_visual(table.accuracy), 0, 100, ACCURACY_LEVELS),
        HeatMap("both over the better one, points", gain, 0, highest, GAIN_LEVELS, "magma_r"),
    ]
    x = _eps_axis(one.outcome, "audio", "audio eps × 1000")
    y = _eps_axis(one.outcome, "visual", "video eps × 1000")
    return heat_map_chart(_chart_title(one), maps, x, y, ("audio", "video"))


def _chart_title(one: Analyzed[SurfaceOutcome]) -> str:
    return f"{one.title}, n = {one.outcome.n}"


def _eps_axis(outcome: SurfaceOutcome, modality: Modality, label: str) -> Axis:
    ticks = []
    for eps in outcome.budgets(modality):
        ticks.append(Tick(1000 * eps, f"{1000 * eps:.4g}"))
    return Axis(label, ticks)


def _by_visual(values: Percentages) -> list[list[float]]:
    """[audio][visual] as [visual][audio]: the visual budget grows upwards, the audio one right."""
    return [[row[level] for row in values] for level in range(len(values))]
