"""The figures on paper, as PDF and PNG: accuracy over eps (Fig. 3), fusions and defenses, embeddings, strengths."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from avrobust.analyses.embeddings.figures import draw_clouds, draw_cosines
from avrobust.analyses.embeddings.section import comparisons
from avrobust.analyses.strength.section import draw_surface, surfaces
from avrobust.report.cells import SHORT
from avrobust.report.curves import Axis, Panel, Strength, axis, strengths
from avrobust.report.rows import Row
from avrobust.report.style import BARS, CURVES, Wanted, save_all
from avrobust.report.tables import TABLE2, TABLE3, Layout, protocol
from avrobust.types import STANDARD_NAMES as CONDITIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Bars(NamedTuple):
    """One group of four bars for each row of a table, for one data set and threat."""

    name: str
    title: str
    rows: list[tuple[str, Row]]


def write_figures(runs: pd.DataFrame, root: Path, folder: Path) -> None:
    """Writes every figure that the runs are enough for; one that is there already and would be the same stays.

    Args:
        runs: of `collect`.
        root: the folder of all runs.
        folder: of the figures.
    """
    wanted: list[Wanted] = [
        (strength.name, strength, _draw_strength) for strength in strengths(runs)
    ]
    wanted += [
        (bars.name, bars, _draw_bars) for layout in (TABLE2, TABLE3) for bars in _bars(runs, layout)
    ]
    for comparison in comparisons(runs, root).shown:
        wanted.append((f"tsne-{comparison.name}", comparison, draw_clouds))
        if comparison.similarities:
            wanted.append((f"cosine-{comparison.name}", comparison, draw_cosines))
    wanted += [(f"strength-{one.run}", one, draw_surface) for one in surfaces(runs, root).shown]
    save_all(wanted, folder)


def _bars(runs: pd.DataFrame, layout: Layout) -> Iterator[Bars]:
    """The rows of a table by data set and threat, where two at least are finished."""
    found = protocol(layout, runs)
    for dataset, threat in dict.fromkeys(
        (row.labels["dataset"], row.labels["threat"]) for row in found
    ):
        here = [
            row
            for row in found
            if (row.labels["dataset"], row.labels["threat"]) == (dataset, threat)
        ]
        order = layout.fusions if layout.axis == "fusion" else layout.defenses
        named = [(name, row) for name in order for row in here if row.labels[layout.axis] == name]
        if len(named) > 1:
            title = (
                f"{dataset}, fgsm, threat {threat}, eps {here[0].labels['eps']:g}, n = {here[0].n}"
            )
            yield Bars(f"{layout.axis}s-{dataset}-{threat}", title, named)


def _draw_strength(strength: Strength) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 2.4), layout="constrained")
    along = axis(strength.panels)
    for place, panel in zip(figure.subplots(1, 3, sharey=True), strength.panels, strict=True):
        _draw_panel(place, panel, along)
    figure.axes[0].set_ylabel("accuracy in %")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper")
    figure.suptitle(f"{strength.title}, n = {strength.n}", fontsize=8)
    return figure


def _draw_panel(place: "Axes", panel: Panel, along: Axis) -> None:
    for curve in panel.curves:
        color, mark = CURVES[curve.fusion]
        x = [along.at(point.eps) for point in curve.points]
        place.fill_between(
            x,
            [p.low for p in curve.points],
            [p.high for p in curve.points],
            color=color,
            alpha=0.13,
            lw=0,
        )
        place.plot(x, [p.mean for p in curve.points], mark, ls="-", color=color, label=curve.name)
    ticks = [0.0, *along.ticks]
    place.set_xticks([along.at(eps) for eps in ticks], [f"{1000 * eps:g}" for eps in ticks])
    place.set(ylim=(0, 100), title=panel.title, xlabel="eps × 1000")


def _draw_bars(group: Bars) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(3.5, 1.0 * len(group.rows) + 1.2), 2.6), layout="constrained")
    place = figure.subplots()
    for number, condition in enumerate(CONDITIONS):
        cells = [row.cells[condition] for _, row in group.rows]
        x = [i + 0.2 * (number - 1.5) for i in range(len(cells))]
        below_above = [[c.mean - c.low for c in cells], [c.high - c.mean for c in cells]]
        color, hatch = BARS[condition]
        bars: Any = {
            "width": 0.19,
            "color": color,
            "hatch": hatch,
            "edgecolor": "white",
            "linewidth": 0.4,
        }
        error = {"elinewidth": 0.7, "capsize": 1.5, "ecolor": "#333333"}
        place.bar(
            x,
            [c.mean for c in cells],
            yerr=below_above,
            label=SHORT[condition],
            error_kw=error,
            **bars,
        )
    place.set_xticks(range(len(group.rows)), [_told(name, row) for name, row in group.rows])
    place.set(ylim=(0, 100), ylabel="accuracy in %")
    figure.legend(loc="outside right upper")
    figure.suptitle(group.title, fontsize=8)
    return figure


def _told(name: str, row: Row) -> str:
    """What stands under a group of bars."""
    wrapped = name.replace("_", "\n")
    return f"{wrapped}\n({row.settings})" if row.settings else wrapped
