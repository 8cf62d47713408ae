"""Sound sources: the numbers and heat maps of a run's localization.json and .npz, for the page and on paper."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from avrobust.report.cells import SHORT
from avrobust.report.media import encoded
from avrobust.report.style import BARS, Wanted, save_all

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAD = ("attacked", "eps", "pointing", "cIoU ≥ 0.5", "AUC", "peak moved", "recognized")
MEASURES = {  # in the order of HEAD's percentages
    "pointing": "peak in the box, %",
    "ciou": "cIoU ≥ 0.5, %",
    "auc": "AUC, %",
    "moved": "peak moved, %",
    "accuracy": "recognized, %",
}
PLACED = ("pointing", "ciou")  # drawn where there are boxes
UNPLACED = ("moved", "accuracy")  # ... and where there are none
NAMES = {"clean": "clean", "audio": "audio", "visual": "video", "audiovisual": "both"}
GUESSES = {"center": "the middle", "whole": "all of it", "random": "at random"}
SIDE = 168  # pixels of a heat map


class Point(NamedTuple):
    """One number of a curve, in percent with its interval."""

    share: float  # of the run's eps
    eps: float
    value: float
    low: float
    high: float


class Panel(NamedTuple):
    """One measure over eps by condition; the first point is the clean one."""

    title: str
    curves: dict[str, list[Point]]
    guesses: dict[str, float]  # what those score that neither look nor listen


class Heat(NamedTuple):
    """One clip under one condition."""

    condition: str
    image: Image.Image
    said: str
    confidence: float  # in percent


class Clip(NamedTuple):
    """One kept clip, clean and attacked."""

    key: str
    label: str
    heats: list[Heat]


class Sources(NamedTuple):
    """What the page shows of one run."""

    run: str
    title: str
    content: Mapping[str, Any]
    rows: list[list[str]]
    panels: list[Panel]
    clips: list[tuple[Clip, list[str]]]  # with their pictures as data URIs


class Shown(NamedTuple):
    """What fits on the page, of how many runs."""

    shown: list[Sources]
    of: int


def sources(titles: Mapping[str, str], root: Path, most: int) -> Shown:
    """The runs that say where they look, as many as fit.

    Args:
        titles: what each run is called, by its id.
        root: the folder of all runs.
        most: bytes that the pictures may take.
    """
    found, folders = [], list(_folders(titles, root))
    for folder in folders:
        content, clips = read(folder)
        pictures = [(clip, [encoded(heat.image, "JPEG") for heat in clip.heats]) for clip in clips]
        most -= sum(len(uri) for _, uris in pictures for uri in uris)
        if most < 0:
            break
        found.append(
            Sources(
                folder.name, titles[folder.name], content, rows(content), panels(content), pictures
            )
        )
    return Shown(found, len(folders))


def write_sources(titles: Mapping[str, str], root: Path, folder: Path) -> None:
    """Draws the figures of every run that says where it looks; arguments as `sources` has them."""
    for run in _folders(titles, root):
        save_all(_wanted(run, f"sources-{run.name}", titles[run.name]), folder)


def _folders(titles: Mapping[str, str], root: Path) -> Iterator[Path]:
    for task in ("attack", "defend"):
        for path in sorted((root / task).glob("*/localization.json")):
            if path.parent.name in titles:
                yield path.parent


def read(folder: Path) -> tuple[dict[str, Any], list[Clip]]:
    """What `avrobust localize` wrote into a run's folder."""
    content = json.loads((folder / "localization.json").read_text(encoding="utf-8"))
    path = folder / "localization.npz"
    if not path.is_file():
        return content, []
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    conditions: list[str] = [str(name) for name in arrays["conditions"]]
    clips = []
    for i, about in enumerate(content["examples"]):
        pictures = [
            heat_map(*pair, arrays["boxes"][i])
            for pair in zip(arrays["frames"][i], arrays["maps"][i], strict=True)
        ]
        said = [about["said"][c] for c in conditions]
        heats = [
            Heat(c, p, s, 100 * o) for c, p, (s, o) in zip(conditions, pictures, said, strict=True)
        ]
        clips.append(Clip(about["key"], about["label"], heats))
    return content, clips


def heat_map(
    frame: NDArray[np.uint8], response: NDArray[np.float32], box: Sequence[float]
) -> Image.Image:
    """A frame (3, H, W) in gray under its response (h, w), from the least to the largest; the box, if any, in white."""
    from matplotlib import colormaps

    size = (SIDE, SIDE)
    gray = (
        Image.fromarray(frame.transpose(1, 2, 0))
        .convert("L")
        .resize(size, Image.Resampling.BICUBIC)
    )
    large = np.asarray(Image.fromarray(response, "F").resize(size, Image.Resampling.BILINEAR))
    share = (large - large.min()) / max(float(np.ptp(large)), 1e-12)
    heat = np.asarray(colormaps["inferno"](share))[..., :3] * 255
    strength = 0.25 + 0.45 * share[..., None]
    mixed = (1 - strength) * np.asarray(gray, dtype=np.float32)[..., None] + strength * heat
    image = Image.fromarray(mixed.round().astype(np.uint8))
    if not np.isnan(box).any():
        ImageDraw.Draw(image).rectangle(
            [SIDE * float(edge) for edge in box], outline="white", width=2
        )
    return image


def rows(content: Mapping[str, Any]) -> list[list[str]]:
    """The lines of the table, as in HEAD: clean, each condition over eps, and guesses."""
    found = [["–", "0", *_cells(content["clean"])]]
    for condition, levels in content["attacked"].items():
        for share, scores in zip(content["shares"], levels, strict=True):
            found.append([SHORT[condition], f"{share * content['eps']:.4g}", *_cells(scores)])
    found += [
        [f"guess: {GUESSES[name]}", "", *_cells(scores)]
        for name, scores in content["baselines"].items()
    ]
    return found


def _cells(scores: Mapping[str, Any]) -> list[str]:
    return [_cell(scores, name) for name in MEASURES]


def _cell(scores: Mapping[str, Any], name: str) -> str:
    if name not in scores:
        return ""
    interval = scores.get(f"{name}_interval")
    return f"{scores[name]:.1f}" + (
        f" ({interval[0]:.0f} to {interval[1]:.0f})" if interval else ""
    )


def panels(content: Mapping[str, Any]) -> list[Panel]:
    """What is drawn over eps."""
    found = []
    for name in PLACED if content["boxes"] else UNPLACED:
        curves: dict[str, list[Point]] = {}
        for condition, levels in content["attacked"].items():
            pairs = zip([0.0, *content["shares"]], [content["clean"], *levels], strict=True)
            curves[condition] = [
                Point(x, x * content["eps"], s[name], *s[f"{name}_interval"]) for x, s in pairs
            ]
        guesses = {GUESSES[g]: s[name] for g, s in content["baselines"].items() if name in s}
        found.append(Panel(MEASURES[name], curves, guesses))
    return found


def draw(folder: Path, into: Path, title: str) -> None:
    """Draws a run's numbers over eps and its heat maps: INTO-eps.pdf, INTO-maps.pdf and the same as PNG.

    Args:
        folder: of the run.
        into: path and beginning of the files' names.
        title: what was attacked.
    """
    save_all(_wanted(folder, into.name, title), into.parent)


class _Files(NamedTuple):
    """What a figure is drawn from."""

    folder: Path
    title: str
    digest: str  # of the files' content, so that a figure of the same content is not drawn again


def _wanted(folder: Path, name: str, title: str) -> list[Wanted]:
    files = (folder / "localization.json", folder / "localization.npz")
    digest = hashlib.sha256(
        b"".join(path.read_bytes() for path in files if path.is_file())
    ).hexdigest()
    content = _Files(folder, title, digest)
    wanted: list[Wanted] = [(f"{name}-eps", content, _draw_curves)]
    if read(folder)[1]:
        wanted.append((f"{name}-maps", content, _draw_maps))
    return wanted


def _draw_curves(files: _Files) -> "Figure":
    from matplotlib.figure import Figure

    content, _ = read(files.folder)
    found = panels(content)
    figure = Figure(figsize=(0.6 + 2.9 * len(found), 2.5), layout="constrained")
    for place, panel in zip(figure.subplots(1, len(found)), found, strict=True):
        _draw_panel(place, panel)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center")
    figure.suptitle(f"{files.title}, n = {content['boxes'] or content['n']}", fontsize=8)
    return figure


def _draw_panel(place: "Axes", panel: Panel) -> None:
    for (condition, points), mark in zip(panel.curves.items(), "s^o", strict=False):
        color, _ = BARS[condition]
        x = [1000 * point.eps for point in points]
        place.fill_between(
            x, [p.low for p in points], [p.high for p in points], color=color, alpha=0.13, lw=0
        )
        place.plot(
            x, [p.value for p in points], mark, ls="-", ms=3, color=color, label=SHORT[condition]
        )
    for (name, value), dashes in zip(panel.guesses.items(), (":", "--", "-."), strict=False):
        place.axhline(value, ls=dashes, lw=0.8, color="#555555", label=f"guess: {name}")
    place.set(ylim=(0, 100), xlabel="eps × 1000")
    place.set_title(panel.title, fontsize=8)


def _draw_maps(files: _Files) -> "Figure":
    from matplotlib.figure import Figure

    _, clips = read(files.folder)
    across = len(clips[0].heats)
    figure = Figure(figsize=(1.5 * across, 1.75 * len(clips) + 0.3), layout="constrained")
    grid = figure.subplots(len(clips), across, squeeze=False)
    for places, clip in zip(grid, clips, strict=True):
        for place, heat in zip(places, clip.heats, strict=True):
            place.imshow(heat.image)
            place.set_axis_off()
            true = f"is {clip.label}" if heat.condition == "clean" else ""
            said = f"{NAMES[heat.condition]}: {heat.said} {heat.confidence:.0f} %"
            place.set_title(f"{true}\n{said}", fontsize=6, parse_math=False)
    figure.suptitle(files.title, fontsize=7, parse_math=False)
    return figure
