"""The picture of a run's strength.json: accuracy over the budget, over both budgets, and what attacking both adds."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avrobust.report.cells import SHORT
from avrobust.report.figures import BARS, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# By title the values drawn, their colours (even in lightness, for the colour-blind and in grey) and labelled contours.
PANELS = (
    ("accuracy in %", "accuracy", "cividis", (0, 100), (10, 25, 50, 75, 90)),
    ("both over the better one, points", "gain", "magma_r", (0, None), (2, 5, 10, 20, 30, 40, 60)),
)


def draw(content: Mapping[str, Any], path: Path, title: str) -> None:
    """Writes PATH.pdf and PATH.png.

    Args:
        content: of strength.json.
        path: without a suffix.
        title: what was attacked.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(8.4, 2.9), layout="constrained")
        curves, *surfaces = figure.subplots(1, 3)
        _draw_curves(content, curves)
        for place, panel in zip(surfaces, PANELS, strict=True):
            _draw_surface(content, place, *panel)
        figure.suptitle(f"{title}, n = {content['n']}", fontsize=8)
        save(figure, path)


def _draw_curves(content: Mapping[str, Any], place: "Axes") -> None:
    x = content["shares"]
    for (condition, curve), mark in zip(content["curves"].items(), "s^o", strict=True):
        colour, _ = BARS[condition]
        low, high = zip(*curve["interval"], strict=True)
        place.fill_between(x, low, high, color=colour, alpha=0.13, lw=0)
        place.plot(x, curve["accuracy"], mark, ls="-", ms=3, color=colour, label=SHORT[condition])
    place.set(ylim=(0, 100), xlabel="share of the largest eps", ylabel="accuracy in %")
    place.legend(loc="best")


def _draw_surface(
    content: Mapping[str, Any],
    place: "Axes",
    title: str,
    name: str,
    colours: str,
    limits: tuple[float, float | None],
    lines: tuple[int, ...],
) -> None:
    values = [list(row) for row in zip(*content["surface"][name], strict=True)]  # [visual][audio], up and to the right
    x, y = ([share * content["largest"][m] * 1000 for share in content["grid"]] for m in ("audio", "visual"))
    high = limits[1] or max(1.0, *map(max, values))
    place.pcolormesh(x, y, values, cmap=colours, vmin=limits[0], vmax=high, shading="nearest", rasterized=True)
    shown = [line for line in lines if min(map(min, values)) < line < max(map(max, values))]
    if shown:
        contours = place.contour(x, y, values, levels=shown, colors="white", linewidths=1.6)
        place.contour(x, y, values, levels=shown, colors="black", linewidths=0.6)
        for text in place.clabel(contours, fontsize=7, colors="black", fmt="%g"):
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85})
    place.grid(visible=False)
    place.set(xlabel="audio eps × 1000", ylabel="visual eps × 1000")
    place.set_title(title, fontsize=8)
