"""The few clips that a run keeps as they were attacked, to look at and listen to: reading them.

examples.npz  keys (K), conditions (C); frames (K,3,H,W) uint8, the middle frame; audio (K,S) int16;
    visual_change (C,K,3,H,W) and audio_change (C,K,S) int8, to be multiplied by visual_scale and
    audio_scale (C,K)
examples.csv  a row a clip and condition: label, prediction, confidence, loss, measured distances
"""

import csv
import math
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple
from zipfile import is_zipfile

import numpy as np

from avrobust.utils.arrays import Array

CLIPS_FILE = "examples.npz"
RECORDS_FILE = "examples.csv"


class Change(NamedTuple):
    """What a condition did to one clip."""

    audio: Array  # (S,) added to the waveform
    frame: Array  # (3, H, W) added to the frame


class KeptClip(NamedTuple):
    """One kept clip, clean and changed."""

    key: str
    audio: Array  # (S,) in [-1, 1]
    frame: Array  # (3, H, W) in [0, 1]
    changes: dict[str, Change]  # by condition


def count_kept(folder: Path) -> int:
    """How many clips a run keeps."""
    path = folder / CLIPS_FILE
    if not path.is_file():
        return 0
    with np.load(path) as file:
        return len(file["keys"])


def read_kept(folder: Path) -> list[KeptClip]:
    """The clips that a run keeps; none if it keeps none."""
    path = folder / CLIPS_FILE
    if not path.is_file():
        return []
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    clips = []
    for place, key in enumerate(arrays["keys"]):
        changes = {}
        for i, condition in enumerate(arrays["conditions"]):
            changes[str(condition)] = Change(
                audio=arrays["audio_change"][i, place] * arrays["audio_scale"][i, place],
                frame=arrays["visual_change"][i, place] * arrays["visual_scale"][i, place],
            )
        audio, frame = arrays["audio"][place] / 32767, arrays["frames"][place] / 255
        clips.append(KeptClip(str(key), audio, frame, changes))
    return clips


def records_of(folder: Path, key: str) -> dict[str, dict[str, str]]:
    """The rows of one clip in a run's examples.csv, by condition."""
    rows: dict[str, dict[str, str]] = {}
    with (folder / RECORDS_FILE).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["key"] == key:
                rows[row["condition"]] = row
    return rows


def read_columns(path: Path, *names: str) -> Iterator[tuple[str, ...]]:
    """Two or more columns of an examples.csv. On many small files csv is faster than pandas."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = next(rows)
        yield from map(itemgetter(*[header.index(name) for name in names]), rows)


def unreadable_file(folder: Path, rows: int) -> tuple[Path, str] | None:
    """A file beside a result that was cut off, with the reason; None if there is none.

    Args:
        folder: of a finished run.
        rows: that its examples.csv has to hold.
    """
    records, clips = folder / RECORDS_FILE, folder / CLIPS_FILE
    if records.is_file():
        with records.open(newline="", encoding="utf-8") as file:
            found = sum(1 for _ in csv.reader(file)) - 1
        if found != rows:
            return records, f"damaged: {found} rows, not {rows}"
    if clips.is_file() and not is_zipfile(clips):
        return clips, "damaged: not a whole file"
    return None


def magnification(change: Array, half: float) -> float:
    """The factor by which a change reaches `half`, rounded down to two digits; 0 for no change."""
    largest = float(np.abs(change).max())
    if largest == 0:
        return 0.0
    digits = 10.0 ** (math.floor(math.log10(half / largest)) - 1)
    return math.floor(half / largest / digits) * digits
