"""Bounding boxes of the sounding object, in the coordinates of the samples that a model sees.

A data set may have a file `boxes.csv` in its root, or in the folder `videos` of its root as the
synthetic data sets do. The columns are path ("<class>/<id>.mp4"), frame (number of the prepared
frame, counted from 1), and x0, y0, x1, y1 (as fractions of the frame's width and height).
"""

import csv
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from avrobust.data.clips import crop_geometry
from avrobust.data.layout import Entry, Format
from avrobust.data.sampling import middle_frame
from avrobust.errors import UserError

COLUMNS = ("path", "frame", "x0", "y0", "x1", "y1")


class Box(NamedTuple):
    """Edges of a box as fractions of width and height, measured from the upper left corner."""

    x0: float
    y0: float
    x1: float
    y1: float


def find_boxes(root: Path) -> Path | None:
    """The file of boxes of a data set, or None."""
    for path in (root / "boxes.csv", root / "videos" / "boxes.csv"):
        if path.is_file():
            return path
    return None


def sample_boxes(root: Path, entries: list[Entry], form: Format) -> dict[str, Box]:
    """Reads the boxes of the frames that evaluation uses, in the coordinates of the samples.

    A clip without a box, or with its box outside the center crop, is left out.

    Args:
        root: Root of the prepared data set.
        entries: The clips to find boxes for.
        form: Size of the samples.

    Returns:
        The box of each clip by the clip's key; {} if the data set has no boxes.

    Raises:
        UserError: The file of boxes lacks a column or holds an invalid box.
    """
    path = find_boxes(root)
    if path is None:
        return {}
    entry_by_frame = {(entry.key, middle_frame(entry.frames)): entry for entry in entries}
    boxes: dict[str, Box] = {}
    for frame_box in _read_boxes(path):
        entry = entry_by_frame.get((frame_box.key, frame_box.frame))
        if entry is None:
            continue
        with Image.open(entry.frame_path(root, frame_box.frame)) as file:
            cropped = in_sample(frame_box.box, file.size, form.image_size)
        if cropped:
            boxes[entry.key] = cropped
    return boxes


def in_sample(box: Box, frame_size: tuple[int, int], crop_size: int) -> Box | None:
    """Converts a box of a frame to the coordinates of the center crop.

    Args:
        box: The box in the frame.
        frame_size: Width and height of the frame in pixels.
        crop_size: Width and height of the crop in pixels.

    Returns:
        The part of the box inside the crop; None if the box lies outside.
    """
    crop = crop_geometry(frame_size, crop_size)
    x0 = _clamp((box.x0 * crop.width - crop.x) / crop_size)
    x1 = _clamp((box.x1 * crop.width - crop.x) / crop_size)
    y0 = _clamp((box.y0 * crop.height - crop.y) / crop_size)
    y1 = _clamp((box.y1 * crop.height - crop.y) / crop_size)
    return Box(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _clamp(edge: float) -> float:
    return min(max(edge, 0.0), 1.0)


class _FrameBox(NamedTuple):
    """One row of the file of boxes."""

    key: str  # of the clip
    frame: int  # counted from 1
    box: Box


def _read_boxes(path: Path) -> list[_FrameBox]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        for name in COLUMNS:
            if name not in (reader.fieldnames or ()):
                raise UserError(f"{path}: no column {name!r}; wanted: {', '.join(COLUMNS)}")
        return [_parse_row(f"{path}, line {reader.line_num}", row) for row in reader]


def _parse_row(place: str, row: dict[str, str]) -> _FrameBox:
    """Parses one row; `place` is for the error message."""
    try:
        box = Box(*(float(row[name]) for name in COLUMNS[2:]))
        if not (0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1):
            raise ValueError
        key = row["path"].removeprefix("/").removesuffix(".mp4")
        return _FrameBox(key, int(row["frame"]), box)
    except (TypeError, ValueError):
        raise UserError(
            f"{place}: not a box with 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1"
        ) from None
