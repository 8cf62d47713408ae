"""Which clip belongs to train, val and test: what a labels CSV says, or a seeded, stratified 60/20/20."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sklearn.model_selection import train_test_split

from avrobust.data.layout import Split
from avrobust.errors import UserError

WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
SMALL = 5  # classes with fewer clips are dealt out by hand: a fifth of them is less than one clip
HELD_OUT: dict[int, tuple[Split, ...]] = {
    1: (),
    2: ("test",),
    3: ("test", "val"),
    4: ("test", "val"),
}


class Named(NamedTuple):
    """One row of a labels CSV."""

    path: PurePosixPath  # relative to the folder of videos
    label: str
    split: Split | None  # None if the file has no splits


def read_labels(
    path: Path, label_column: str | None = None, split_column: str | None = None
) -> list[Named]:
    """Reads a labels CSV with the columns path, label (else the class folder is the label) and split (else none).

    Args:
        path: The CSV file.
        label_column: The column of the class; None for "label" if there is one.
        split_column: The column of the split; None for "split" if there is one.

    Raises:
        UserError: the file or a column is missing, or a row makes no sense.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such labels file")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            label, split = _columns(path, list(reader.fieldnames or ()), label_column, split_column)
            rows = [_named(f"{path}, line {reader.line_num}", row, label, split) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8: {error}") from None
    if not rows:
        raise UserError(f"{path}: no rows; expected one a clip below the header")
    return rows


def _columns(
    path: Path, names: list[str], label: str | None, split: str | None
) -> tuple[str | None, str | None]:
    for wanted in ("path", label, split):
        if wanted is not None and wanted not in names:
            raise UserError(
                f"{path}: no column {wanted!r}; there are: {', '.join(names) or 'none'}"
            )
    return label or _present("label", names), split or _present("split", names)


def _present(name: str, names: list[str]) -> str | None:
    return name if name in names else None


def _named(place: str, row: dict[str, str | None], label: str | None, split: str | None) -> Named:
    text = row["path"] or ""
    path = PurePosixPath(text)
    if not path.name or path.is_absolute() or ".." in path.parts:
        raise UserError(f"{place}: path {text!r} does not name a file inside the folder of videos")
    if label is None and len(path.parts) == 1:
        raise UserError(
            f"{place}: {text!r} lies in no class folder; add a column 'label' or name one by --label-column"
        )
    name = path.parts[0] if label is None else row[label] or ""
    return Named(path, name, None if split is None else parse_split(row[split] or "", place))


def parse_split(word: str, place: str) -> Split:
    """The split that a word stands for.

    Raises:
        UserError: it stands for none; `place` is named.
    """
    try:
        return WORDS[word.strip().casefold()]
    except KeyError:
        raise UserError(f"{place}: {word!r} is not a split; choices: train, val, test") from None


def random_splits(labels: Sequence[str], seed: int = 0) -> list[Split]:
    """Deals clips out 60/20/20, every class in proportion; every class is in train.

    Args:
        labels: The class of each clip. The same clips in the same order get the same splits.
        seed: Another seed deals otherwise.
    """
    counts = Counter(labels)
    splits: list[Split] = ["train"] * len(labels)
    for name in sorted(name for name, count in counts.items() if count < SMALL):
        _deal(splits, [i for i, label in enumerate(labels) if label == name], seed)
    large = [i for i, label in enumerate(labels) if counts[label] >= SMALL]
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


def _deal(splits: list[Split], members: list[int], seed: int) -> None:
    for split in HELD_OUT[len(members)]:
        members, (chosen,) = train_test_split(members, test_size=1, random_state=seed)
        splits[chosen] = split


def _assign(splits: list[Split], members: Sequence[int], split: Split) -> None:
    for i in members:
        splits[i] = split
