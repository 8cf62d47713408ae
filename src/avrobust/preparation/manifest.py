"""The manifest of a prepared data set: one row a source file, with what became of it. Also the journal of a run."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

Status = Literal["ok", "skipped"]


class Row(NamedTuple):
    """One source file and what became of it."""

    source: str  # its path relative to the folder of videos
    label: str
    stem: str
    split: str  # its splits, joined by a space
    frames: int
    samples: int
    status: Status
    note: str  # why it was skipped, or what is odd about it
    size: int  # of the source, in bytes
    modified: int  # the source's time stamp, in nanoseconds


HEADER = (
    "source",
    "class",
    "stem",
    "split",
    "frames",
    "samples",
    "status",
    "note",
    "bytes",
    "modified",
)


def read_manifest(path: Path) -> list[Row]:
    """The rows of a manifest, [] if there is none; a row that a killed run left half written is left out."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [_row(fields) for fields in csv.reader(file)]
    return [row for row in rows if row is not None]


def _row(fields: list[str]) -> Row | None:
    try:
        source, label, stem, split, frames, samples, status, note, size, modified = fields
        if status not in ("ok", "skipped"):
            return None
        kind: Status = "ok" if status == "ok" else "skipped"
        return Row(
            source,
            label,
            stem,
            split,
            int(frames),
            int(samples),
            kind,
            note,
            int(size),
            int(modified),
        )
    except ValueError:
        return None


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """Writes the whole manifest, all or nothing."""
    aside = path.with_name(f".{path.name}")
    with aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(rows)
    aside.replace(path)


def append_row(path: Path, row: Row) -> None:
    """Adds one row at once, so that a killed run loses none."""
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow(row)
