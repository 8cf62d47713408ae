"""Assigns clips to train, val and test: by a labels file, or at random (60/20/20, stratified)."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sklearn.model_selection import train_test_split

from avrobust.data.layout import Split
from avrobust.errors import UserError

# What a labels file may call the splits.
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
# A fifth of a class with fewer clips is less than one clip, so small classes have their own rule.
SMALL_CLASS = 5

# By the number of clips in a small class: the splits that get one clip each. The rest is for train.
HELD_OUT: dict[int, tuple[Split, ...]] = {
    1: (),
    2: ("test",),
    3: ("test", "val"),
    4: ("test", "val"),
}


class LabelsRow(NamedTuple):
    """One row of a labels file."""

    path: PurePosixPath  # relative to the folder of videos
    label: str
    split: Split | None  # None if the file has no splits


def read_labels(
    path: Path, label_column: str | None = None, split_column: str | None = None
) -> list[LabelsRow]:
    """Reads a labels file: a CSV file with the column path and, if wanted, label and split.

    Without a column of labels, the first folder of each path is the label.

    Args:
        path: The CSV file.
        label_column: Name of the column of labels; None for "label", if it exists.
        split_column: Name of the column of splits; None for "split", if it exists.

    Raises:
        UserError: The file or a column is missing, or a row is invalid.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such labels file")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = list(reader.fieldnames or ())
            label, split = _choose_columns(path, names, label_column, split_column)
            rows = []
            for row in reader:
                place = f"{path}, line {reader.line_num}"
                rows.append(_parse_row(place, row, label, split))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8: {error}") from None
    if not rows:
        raise UserError(f"{path}: no rows; expected one a clip below the header")
    return rows


def _choose_columns(
    path: Path, names: list[str], label: str | None, split: str | None
) -> tuple[str | None, str | None]:
    """The columns of labels and of splits; None for a column that does not exist."""
    for name in ("path", label, split):
        if name is not None and name not in names:
            raise UserError(f"{path}: no column {name!r}; there are: {', '.join(names) or 'none'}")
    if label is None and "label" in names:
        label = "label"
    if split is None and "split" in names:
        split = "split"
    return label, split


def _parse_row(
    place: str, row: dict[str, str | None], label_column: str | None, split_column: str | None
) -> LabelsRow:
    """Parses one row; `place` is for the error messages."""
    text = row["path"] or ""
    path = PurePosixPath(text)
    if not path.name or path.is_absolute() or ".." in path.parts or "\0" in text:
        raise UserError(f"{place}: path {text!r} does not name a file inside the folder of videos")
    if label_column is None and len(path.parts) == 1:
        raise UserError(
            f"{place}: {text!r} lies in no class folder; "
            "add a column 'label' or name one by --label-column"
        )
    label = path.parts[0] if label_column is None else row[label_column] or ""
    split = None if split_column is None else parse_split(row[split_column] or "", place)
    return LabelsRow(path, label, split)


def parse_split(name: str, place: str) -> Split:
    """Converts the name of a split, for example "training", to train, val or test.

    Args:
        name: The name, in upper or lower case.
        place: File and line, for the error message.

    Raises:
        UserError: The name is unknown.
    """
    try:
        return SPLIT_NAMES[name.strip().casefold()]
    except KeyError:
        raise UserError(f"{place}: {name!r} is not a split; choices: train, val, test") from None


def random_splits(labels: Sequence[str], seed: int = 0) -> list[Split]:
    """Draws splits of 60/20/20 percent, stratified by class. Every class has a clip in train.

    Args:
        labels: Class of each clip. Equal labels in an equal order get equal splits.
        seed: Seed of the draw.
    """
    counts = Counter(labels)
    splits: list[Split] = ["train"] * len(labels)
    for name in sorted(counts):
        if counts[name] < SMALL_CLASS:
            clips = [i for i, label in enumerate(labels) if label == name]
            _split_small_class(splits, clips, seed)
    large = [i for i, label in enumerate(labels) if counts[label] >= SMALL_CLASS]
    if large:
        rest, test = train_test_split(
            large, test_size=0.2, random_state=seed, stratify=[labels[i] for i in large]
        )
        _, val = train_test_split(
            rest, test_size=0.25, random_state=seed, stratify=[labels[i] for i in rest]
        )
        _assign(splits, test, "test")
        _assign(splits, val, "val")
    return splits


def _split_small_class(splits: list[Split], clips: list[int], seed: int) -> None:
    """Sets the splits of the clips of one small class; `clips` are indices into `splits`."""
    for split in HELD_OUT[len(clips)]:
        clips, (chosen,) = train_test_split(clips, test_size=1, random_state=seed)
        splits[chosen] = split


def _assign(splits: list[Split], clips: Sequence[int], split: Split) -> None:
    for i in clips:
        splits[i] = split
