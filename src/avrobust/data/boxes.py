"""Where the sounding object is, in the coordinates of the samples that a model sees.

A data set may have a `boxes.csv` in its root, or in `videos` in it as the embedded sets do, with
the columns path ("<class>/<id>.mp4"), frame (counted from 1 among the prepared ones), x0, y0, x1,
y1 (shares of the frame's sides).
"""

import csv
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from avrobust.data.clips import crop_of
from avrobust.data.layout import Entry, Format
from avrobust.data.sampling import middle
from avrobust.errors import UserError

COLUMNS = ("path", "frame", "x0", "y0", "x1", "y1")


class Box(NamedTuple):
    """Edges as shares of the picture's sides, from the upper left corner."""

    x0: float
    y0: float
    x1: float
    y1: float


def find_boxes(root: Path) -> Path | None:
    """The data set's file of boxes; None if it has none."""
    return next(
        (path for path in (root / "boxes.csv", root / "videos" / "boxes.csv") if path.is_file()),
        None,
    )


def sample_boxes(root: Path, entries: list[Entry], form: Format) -> dict[str, Box]:
    """By key the box in the frame that evaluation looks at, cropped as the sample is; none outside the crop.

    Args:
        root: of the prepared data set.
        entries: the clips that are asked for.
        form: of the samples.

    Raises:
        UserError: the file of boxes makes no sense.
    """
    path = find_boxes(root)
    if path is None:
        return {}
    wanted = {(entry.key, middle(entry.frames)): entry for entry in entries}
    found: dict[str, Box] = {}
    for name, box in _read(path):
        entry = wanted.get(name)
        if entry is not None:
            with Image.open(entry.frame_path(root, name[1])) as file:
                cropped = in_sample(box, file.size, form.image_size)
            if cropped:
                found[entry.key] = cropped
    return found


def in_sample(box: Box, size: tuple[int, int], side: int) -> Box | None:
    """A box of a frame of (width, height) pixels in the sample of `side` pixels; None if nothing of it is left."""
    width, height, x, y = crop_of(size, side)
    x0, x1 = (min(max((edge * width - x) / side, 0.0), 1.0) for edge in (box.x0, box.x1))
    y0, y1 = (min(max((edge * height - y) / side, 0.0), 1.0) for edge in (box.y0, box.y1))
    return Box(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _read(path: Path) -> list[tuple[tuple[str, int], Box]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
            raise UserError(f"{path}: no column {missing[0]!r}; wanted: {', '.join(COLUMNS)}")
        return [_row(f"{path}, line {reader.line_num}", row) for row in reader]


def _row(place: str, row: dict[str, str]) -> tuple[tuple[str, int], Box]:
    try:
        box = Box(*(float(row[name]) for name in COLUMNS[2:]))
        if not (0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1):
            raise ValueError
        return (row["path"].removeprefix("/").removesuffix(".mp4"), int(row["frame"])), box
    except (TypeError, ValueError):
        raise UserError(
            f"{place}: not a box with 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1"
        ) from None
