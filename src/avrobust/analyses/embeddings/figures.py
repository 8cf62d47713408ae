"""The embeddings on paper: t-SNE of each modality without and with a defense, and the cosine of the two by budget."""

from typing import TYPE_CHECKING, Any

from avrobust.analyses.embeddings.section import Cloud, Comparison, Side
from avrobust.report.curves import TITLES
from avrobust.report.style import CLASSES, MARKS
from avrobust.types import Modality

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = (
    ("#666666", "s", "--"),
    ("#0072B2", "o", "-"),
    ("#D55E00", "^", "-"),
)  # undefended, defended, restored


def draw_clouds(comparison: Comparison) -> "Figure":
    """A row a modality; for each model its clips clean and attacked, colored by class."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    modalities, sides = comparison.modalities, comparison.sides
    figure = Figure(
        figsize=(1.75 * 2 * len(sides) + 1.3, 1.95 * len(modalities) + 0.3), layout="constrained"
    )
    places = figure.subplots(len(modalities), 2 * len(sides), squeeze=False)
    for row, modality in zip(places, modalities, strict=True):
        for i, side in enumerate(sides):
            _draw_model(list(row[2 * i : 2 * i + 2]), side, modality)
        row[0].set_ylabel(modality)
    there = sorted({label for side in sides for label in side.labels})
    handles = [
        Line2D([], [], ls="", label=comparison.classes[number], **_mark(number)) for number in there
    ]
    figure.legend(handles=handles, loc="outside right center", handletextpad=0.1)
    figure.suptitle(f"{comparison.title}, n = {comparison.n}", fontsize=8)
    return figure


def _mark(number: int) -> dict[str, Any]:
    """How a class is drawn: those of one color have another mark."""
    color, mark = CLASSES[number % len(CLASSES)], MARKS[number // len(CLASSES) % len(MARKS)]
    return {"marker": mark, "ms": 2.2, "mew": 0.5, "color": color, "alpha": 0.85}


def _draw_model(places: "list[Axes]", side: Side, modality: Modality) -> None:
    for place in places:
        place.set(xticks=[], yticks=[], xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        place.grid(visible=False)
    for place, cloud in zip(places, side.clouds.get(modality, []), strict=False):
        for number in sorted(set(side.labels)):
            mine = [
                xy for xy, label in zip(cloud.points, side.labels, strict=True) if label == number
            ]
            place.plot(*zip(*mine, strict=True), ls="", **_mark(number))
        place.set_title(f"{side.name}\n{cloud.title}\n{_compact(cloud)}", fontsize=6.5)


def _compact(cloud: Cloud) -> str:
    """A cloud's compactness in words."""
    found = cloud.compactness
    return (
        f"ratio {found['intra_over_inter']:.2f}, silhouette {found['silhouette']:.2f}"
        if found
        else ""
    )


def draw_cosines(comparison: Comparison) -> "Figure":
    """A panel for each attacked modality, a curve for each model; bands are a deviation over clips."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 2.6), layout="constrained")
    for place, (condition, title) in zip(
        figure.subplots(1, 3, sharey=True), TITLES.items(), strict=True
    ):
        for one, (color, mark, line) in zip(comparison.similarities, LINES, strict=False):
            eps, mean, deviation = zip(*one.values[condition], strict=True)
            low, high = (
                [m + sign * d for m, d in zip(mean, deviation, strict=True)] for sign in (-1, 1)
            )
            x = [1000 * value for value in eps]
            place.fill_between(x, low, high, color=color, alpha=0.13, lw=0)
            place.plot(x, mean, mark, ls=line, color=color, label=one.name)
        place.set(title=title, xlabel="eps × 1000")
    figure.axes[0].set_ylabel("cosine of audio and video")
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(LINES)
    )
    figure.suptitle(
        f"{comparison.title}, n = {comparison.n}; bands: deviation over clips", fontsize=8
    )
    return figure
