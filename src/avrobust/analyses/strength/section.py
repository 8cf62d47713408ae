"""How strong attacks have to be: what is shown of runs' strength.json, in words, on paper and on the page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from avrobust.report.cells import SHORT
from avrobust.report.style import BARS, save_all

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 12  # pictures


class Panel(NamedTuple):
    """How one of the surfaces is drawn."""

    title: str
    colors: str  # even in lightness, for the color-blind and in gray
    most: float | None  # what the last color stands for; None is the largest value
    lines: tuple[int, ...]  # labeled contours


PANELS = {
    "accuracy": Panel("accuracy in %", "cividis", 100, (10, 25, 50, 75, 90)),
    "gain": Panel("both over the better one, points", "magma_r", None, (2, 5, 10, 20, 30, 40, 60)),
}


class Surface(NamedTuple):
    """One run's strengths."""

    run: str
    title: str
    content: Mapping[str, Any]  # of strength.json


class Surfaces(NamedTuple):
    """Those that are drawn."""

    shown: list[Surface]
    of: int


def surfaces(runs: pd.DataFrame, root: Path) -> Surfaces:
    """The strengths of the runs that have them, the first seeds first.

    Args:
        runs: of `collect`.
        root: the folder of all runs.
    """
    found = []
    for row in runs.sort_values(["seed", "dataset", "defense", "attack", "eps"]).itertuples():
        path = root / str(row.task) / str(row.run_id) / "strength.json"
        if path.is_file():
            defended = "" if row.defense == "none" else f" + {row.defense}"
            title = f"{row.dataset}, {row.fusion}{defended}, {row.attack}, threat {row.threat}, seed {row.seed}"
            found.append(
                Surface(str(row.run_id), title, json.loads(path.read_text(encoding="utf-8")))
            )
    return Surfaces(found[:MOST], len(found))


def words(content: Mapping[str, Any]) -> list[str]:
    """What attacking both modalities does beyond attacking one, in sentences.

    Args:
        content: of strength.json.
    """
    surface, largest = content["surface"], content["largest"]
    eps = budgets(content)
    most, i, j = max(
        (gain, i, j) for i, row in enumerate(surface["gain"]) for j, gain in enumerate(row)
    )
    where = (
        f"at most {most:.1f} points, at {eps[0][i]:g} and {eps[1][j]:g}"
        if most > 0
        else "nothing anywhere"
    )
    names = ("saved_by_visual", "saved_by_audio", "neither", "unsaved")
    by_visual, by_audio, neither, unsaved = (f"{surface[name][-1][-1]:.1f} %" for name in names)
    accuracy = surface["accuracy"]
    clean, audio, visual, both = (
        f"{accuracy[i][j]:.1f} %" for i, j in ((0, 0), (-1, 0), (0, -1), (-1, -1))
    )
    return [
        f"At the largest budgets, eps {largest['audio']:g} on audio and {largest['visual']:g} on video, accuracy falls "
        f"from {clean} to {audio} by audio alone, {visual} by video alone and {both} by both.",
        f"Beyond the better single attack of the same budget, attacking both gains {where}.",
        f"Of all clips, {by_visual} fall to both at the largest budgets but not with the video intact, {by_audio} not "
        f"with the audio intact, {neither} to neither alone; {unsaved} fall to either alone.",
    ]


def draw(content: Mapping[str, Any], path: Path, title: str) -> None:
    """Writes PATH.pdf and PATH.png.

    Args:
        content: of strength.json.
        path: without a suffix.
        title: what was attacked.
    """
    save_all([(path.name, Surface(path.parent.name, title, content), draw_surface)], path.parent)


def draw_surface(one: Surface) -> "Figure":
    """Accuracy over the budget, over both budgets, and what attacking both adds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 2.9), layout="constrained")
    curves, *places = figure.subplots(1, 3)
    _draw_curves(one.content, curves)
    for place, name in zip(places, PANELS, strict=True):
        _draw_panel(one.content, place, name)
    figure.suptitle(f"{one.title}, n = {one.content['n']}", fontsize=8)
    return figure


def _draw_curves(content: Mapping[str, Any], place: "Axes") -> None:
    x = content["shares"]
    for (condition, curve), mark in zip(content["curves"].items(), "s^o", strict=True):
        color, _ = BARS[condition]
        low, high = zip(*curve["interval"], strict=True)
        place.fill_between(x, low, high, color=color, alpha=0.13, lw=0)
        place.plot(x, curve["accuracy"], mark, ls="-", ms=3, color=color, label=SHORT[condition])
    place.set(ylim=(0, 100), xlabel="share of the largest eps", ylabel="accuracy in %")
    place.legend(loc="best")


def _draw_panel(content: Mapping[str, Any], place: "Axes", name: str) -> None:
    panel = PANELS[name]
    values = [
        list(row) for row in zip(*content["surface"][name], strict=True)
    ]  # [visual][audio], up and to the right
    x, y = ([1000 * eps for eps in axis] for axis in budgets(content))
    high = panel.most or max(1.0, *map(max, values))
    place.pcolormesh(
        x, y, values, cmap=panel.colors, vmin=0, vmax=high, shading="nearest", rasterized=True
    )
    shown = [line for line in panel.lines if min(map(min, values)) < line < max(map(max, values))]
    if shown:
        contours = place.contour(x, y, values, levels=shown, colors="white", linewidths=1.6)
        place.contour(x, y, values, levels=shown, colors="black", linewidths=0.6)
        for text in place.clabel(contours, fontsize=7, colors="black", fmt="%g"):
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85})
    place.grid(visible=False)
    place.set(xlabel="audio eps × 1000", ylabel="visual eps × 1000")
    place.set_title(panel.title, fontsize=8)


def budgets(content: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """The audio and the visual eps along the sides of a surface."""
    audio, visual = (
        [share * content["largest"][m] for share in content["grid"]] for m in ("audio", "visual")
    )
    return audio, visual
