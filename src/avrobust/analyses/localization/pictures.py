"""The kept clips' frames and response maps: localize.npz, and the heat maps drawn from it.

localize.npz: of K clips under C conditions (clean first), at the whole budgets,
    keys (K,), conditions (C,), frames (K, C, 3, H, W) uint8, maps (K, C, h, w) float32,
    boxes (K, 4) float32, NaN where a clip has none.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from avrobust.utils.files import atomic_write

if TYPE_CHECKING:
    from torch import Tensor

    from avrobust.analyses.localization.compute import Responses
    from avrobust.tasks.examples import Examples

FILE = "localize.npz"
SIDE = 168  # pixels of a heat map


def write_pictures(
    folder: Path,
    responses: "Mapping[str, Responses]",
    kept: "Examples",
    rows: "Tensor",
    boxes: "Tensor",
) -> None:
    """Writes localize.npz into a run's folder; without kept clips an old file is removed.

    Args:
        folder: of the run.
        responses: by condition, clean first.
        kept: the clips and their frames.
        rows: which of the clips have a box, (M,) int64.
        boxes: their boxes, (M, 4).
    """
    clean = next(iter(responses.values()))
    position = {record.key: i for i, record in enumerate(clean.records)}
    keys = [key for key in kept.keys if key in position]
    if not keys:
        (folder / FILE).unlink(missing_ok=True)
        return
    box_by_row = dict(zip(rows.tolist(), boxes.numpy(), strict=True))
    frames, maps, chosen_boxes = [], [], []
    for key in keys:
        row = position[key]
        frames.append([kept.clips[key, name].frame for name in responses])
        maps.append([one.maps[row].numpy() for one in responses.values()])
        chosen_boxes.append(box_by_row.get(row, np.full(4, np.nan)))
    with atomic_write(folder / FILE) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            keys=np.array(keys),
            conditions=np.array(list(responses)),
            frames=(np.array(frames) * 255).round().astype(np.uint8),
            maps=np.array(maps, dtype=np.float32),
            boxes=np.array(chosen_boxes, dtype=np.float32),
        )


def read_heat_maps(folder: Path) -> list[list[Image.Image]]:
    """The heat maps of each kept clip, clean first; none if the file is missing or damaged."""
    try:
        with np.load(folder / FILE) as file:
            frames, maps, boxes = file["frames"], file["maps"], file["boxes"]
    except (OSError, ValueError, KeyError, BadZipFile):
        return []
    clips = []
    for i, box in enumerate(boxes):
        images = []
        for frame, response in zip(frames[i], maps[i], strict=True):
            images.append(heat_map_image(frame, response, box))
        clips.append(images)
    return clips


def heat_map_image(
    frame: NDArray[np.uint8], response: NDArray[np.float32], box: Sequence[float]
) -> Image.Image:
    """Draws a frame in gray under its response, from the least to the largest.

    Args:
        frame: (3, H, W).
        response: (h, w).
        box: the true place, drawn in white; NaN if there is none.
    """
    from matplotlib import colormaps

    size = (SIDE, SIDE)
    picture = Image.fromarray(frame.transpose(1, 2, 0)).convert("L")
    gray = np.asarray(picture.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    large = np.asarray(Image.fromarray(response, "F").resize(size, Image.Resampling.BILINEAR))
    share = (large - large.min()) / max(float(np.ptp(large)), 1e-12)
    heat = np.asarray(colormaps["inferno"](share))[..., :3] * 255
    # The larger the response, the more of its color covers the frame.
    opacity = 0.25 + 0.45 * share[..., None]
    mixed = (1 - opacity) * gray[..., None] + opacity * heat
    image = Image.fromarray(mixed.round().astype(np.uint8))
    if not np.isnan(box).any():
        edges = [SIDE * float(edge) for edge in box]
        ImageDraw.Draw(image).rectangle(edges, outline="white", width=2)
    return image
