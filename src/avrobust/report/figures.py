"""The figures on paper, as PDF and PNG: accuracy over eps (Fig. 3), fusions and defences with their intervals."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from avrobust.report.cells import SHORT
from avrobust.report.curves import Axis, Panel, Strength, axis, strengths
from avrobust.report.rows import Row
from avrobust.report.tables import TABLE2, TABLE3, Layout, protocol
from avrobust.types import CONDITIONS, Condition

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind can tell apart; marks and hatches tell the same in grey.
CURVES = {"concat": ("#0072B2", "o"), "audio_only": ("#D55E00", "s"), "visual_only": ("#009E73", "^")}
BARS: dict[Condition, tuple[str, str]] = {
    "clean": ("#BBBBBB", ""),
    "audio": ("#D55E00", "//"),
    "visual": ("#009E73", "\\\\"),
    "audiovisual": ("#0072B2", ""),
}
STYLE: Any = {  # matplotlib types the names of its settings one by one
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.4,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # text stays text
    "svg.hashsalt": "avrobust",
}


class Bars(NamedTuple):
    """One group of four bars for each row of a table, for one data set and threat."""

    name: str
    title: str
    rows: list[tuple[str, Row]]


def write_figures(runs: pd.DataFrame, folder: Path) -> None:
    """Writes every figure that the runs are enough for."""
    curves, bars = strengths(runs), [*_bars(runs, TABLE2), *_bars(runs, TABLE3)]
    if not curves and not bars:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with style():
        for strength in curves:
            _draw_strength(strength, folder)
        for group in bars:
            _draw_bars(group, folder)


def _bars(runs: pd.DataFrame, layout: Layout) -> Iterator[Bars]:
    """The rows of a table by data set and threat, where two at least are finished."""
    found = protocol(layout, runs)
    for dataset, threat in dict.fromkeys((row.labels["dataset"], row.labels["threat"]) for row in found):
        here = [row for row in found if (row.labels["dataset"], row.labels["threat"]) == (dataset, threat)]
        order = layout.fusions if layout.axis == "fusion" else layout.defenses
        named = [(name, row) for name in order for row in here if row.labels[layout.axis] == name]
        if len(named) > 1:
            title = f"{dataset}, fgsm, threat {threat}, eps {here[0].labels['eps']:g}, n = {here[0].n}"
            yield Bars(f"{layout.axis}s-{dataset}-{threat}", title, named)


@contextmanager
def style() -> Iterator[None]:
    """One style for all; without a window, and without touching the user's own settings."""
    import matplotlib

    with matplotlib.rc_context({"backend": "agg", **STYLE}):
        yield


def _draw_strength(strength: Strength, folder: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 2.4), layout="constrained")
    along = axis(strength.panels)
    for place, panel in zip(figure.subplots(1, 3, sharey=True), strength.panels, strict=True):
        _draw_panel(place, panel, along)
    figure.axes[0].set_ylabel("accuracy in %")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper")
    figure.suptitle(f"{strength.title}, n = {strength.n}", fontsize=8)
    save(figure, folder / strength.name)


def _draw_panel(place: "Axes", panel: Panel, along: Axis) -> None:
    for curve in panel.curves:
        colour, mark = CURVES[curve.fusion]
        x = [along.at(point.eps) for point in curve.points]
        place.fill_between(
            x, [p.low for p in curve.points], [p.high for p in curve.points], color=colour, alpha=0.13, lw=0
        )
        place.plot(x, [p.mean for p in curve.points], mark, ls="-", color=colour, label=curve.name)
    ticks = [0.0, *along.ticks]
    place.set_xticks([along.at(eps) for eps in ticks], [f"{1000 * eps:g}" for eps in ticks])
    place.set(ylim=(0, 100), title=panel.title, xlabel="eps × 1000")


def _draw_bars(group: Bars, folder: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(3.5, 1.0 * len(group.rows) + 1.2), 2.6), layout="constrained")
    place = figure.subplots()
    for number, condition in enumerate(CONDITIONS):
        cells = [row.cells[condition] for _, row in group.rows]
        x = [i + 0.2 * (number - 1.5) for i in range(len(cells))]
        below_above = [[c.mean - c.low for c in cells], [c.high - c.mean for c in cells]]
        colour, hatch = BARS[condition]
        bars: Any = {"width": 0.19, "color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.4}
        error = {"elinewidth": 0.7, "capsize": 1.5, "ecolor": "#333333"}
        place.bar(x, [c.mean for c in cells], yerr=below_above, label=SHORT[condition], error_kw=error, **bars)
    place.set_xticks(range(len(group.rows)), [_told(name, row) for name, row in group.rows])
    place.set(ylim=(0, 100), ylabel="accuracy in %")
    figure.legend(loc="outside right upper")
    figure.suptitle(group.title, fontsize=8)
    save(figure, folder / group.name)


def _told(name: str, row: Row) -> str:
    """What stands under a group of bars."""
    wrapped = name.replace("_", "\n")
    return f"{wrapped}\n({row.settings})" if row.settings else wrapped


def save(figure: "Figure", path: Path) -> None:
    """Without a date, so that the same runs make the same file; names from disk become plain file names."""
    safe = path.with_name("".join(c if c.isalnum() or c in "._-" else "_" for c in path.name))
    figure.draw_without_rendering()  # a figure without a window has a canvas that draws nothing by itself
    figure.set_layout_engine("none")  # it stays as it is now laid out
    figure.savefig(safe.with_name(f"{safe.name}.pdf"), metadata={"CreationDate": None})
    figure.savefig(safe.with_name(f"{safe.name}.png"), dpi=200)
