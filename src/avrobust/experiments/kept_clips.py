"""The few clips that a run keeps as they were attacked, to look at and listen to: reading them.

examples.npz  keys (K), conditions (C); frames (K,3,H,W) uint8, the middle frame; audio (K,S) int16;
    visual_change (C,K,3,H,W) and audio_change (C,K,S) int8, to be multiplied by visual_scale and
    audio_scale (C,K)
examples.csv  a row a clip and condition: label, prediction, confidence, loss, measured distances
"""

import csv
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, is_zipfile

import numpy as np

from avrobust.experiments.results import EvaluationResult
from avrobust.utils.arrays import Array
from avrobust.utils.spreadsheet import original

CLIPS_FILE = "examples.npz"
RECORDS_FILE = "examples.csv"
COLUMNS = ("key", "condition", "label", "prediction", "correct", "confidence")  # that are read


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
    with _whole_archive(path), path.open("rb") as stream, np.load(stream) as file:
        return len(file["keys"])


def read_kept(folder: Path) -> list[KeptClip]:
    """The clips that a run keeps; none if it keeps none.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / CLIPS_FILE
    if not path.is_file():
        return []
    with _whole_archive(path):
        with path.open("rb") as stream, np.load(stream) as file:
            arrays = {name: file[name] for name in file.files}
        return _clips_in(arrays)


def _clips_in(arrays: dict[str, Array]) -> list[KeptClip]:
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
    """The rows of one clip in a run's examples.csv, by condition: the cells of `COLUMNS`."""
    rows: dict[str, dict[str, str]] = {}
    with (folder / RECORDS_FILE).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, restkey="", restval=""):
            if original(row["key"]) == key:
                texts = {name: original(row[name]) for name in COLUMNS}
                rows[texts["condition"]] = texts
    return rows


def read_columns(path: Path, *names: str) -> Iterator[tuple[str, ...]]:
    """Two or more columns of an examples.csv. On many small files csv is faster than pandas."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = next(rows)
        columns = itemgetter(*[header.index(name) for name in names])
        for row in rows:
            yield tuple(map(original, columns(row)))


def unreadable_file(folder: Path, result: EvaluationResult) -> tuple[Path, str] | None:
    """A file beside a result that is damaged, with the reason; None if there is none.

    Args:
        folder: of a finished run.
        result: of the run.
    """
    records, clips = folder / RECORDS_FILE, folder / CLIPS_FILE
    for path, check in ((records, _check_records), (clips, _check_clips)):
        try:
            if path.is_file():
                check(path, result)
            elif path.exists():
                return path, "damaged: not a file"
        except OSError as error:
            return path, f"cannot be read: {error.strerror}"
        except (ValueError, csv.Error) as error:
            return path, f"damaged: {' '.join(str(error).split())}"
    return None


def _check_records(path: Path, result: EvaluationResult) -> None:
    """Reads an examples.csv once.

    Raises:
        ValueError: a row or a column is missing, or a cell makes no sense.
    """
    conditions = {condition.name for condition in result.conditions}
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        if missing := [name for name in COLUMNS if name not in header]:
            raise ValueError(f"no column {missing[0]}")
        last = max(header.index(name) for name in COLUMNS)
        condition, confidence = header.index("condition"), header.index("confidence")
        count = 0
        for count, row in enumerate(rows, start=1):
            if len(row) <= last:
                raise ValueError(f"row {count} is cut off")
            if original(row[condition]) not in conditions:
                raise ValueError(f"row {count}: no condition {row[condition]}")
            if not 0 <= float(row[confidence]) <= 1:
                raise ValueError(f"row {count}: confidence {row[confidence]}")
    expected = result.n * len(result.conditions)
    if count != expected:
        raise ValueError(f"{count} rows, not {expected}")


def _check_clips(path: Path, result: EvaluationResult) -> None:
    if not is_zipfile(path):
        raise ValueError("not a whole file")
    if not (path.parent / RECORDS_FILE).is_file():
        raise ValueError(f"{RECORDS_FILE} is missing beside it")


@contextmanager
def _whole_archive(path: Path) -> Iterator[None]:
    """Turns whatever a damaged archive raises into one kind of error."""
    try:
        yield
    except (ValueError, KeyError, IndexError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: damaged: {' '.join(str(error).split())}") from None


def magnification(change: Array, half: float) -> float:
    """The factor by which a change reaches `half`, rounded down to two digits; 0 for no change."""
    largest = float(np.abs(change).max())
    if largest == 0:
        return 0.0
    digits = 10.0 ** (math.floor(math.log10(half / largest)) - 1)
    return math.floor(half / largest / digits) * digits
