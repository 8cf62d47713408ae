"""The manifest of a prepared data set: one row a source video, with the result of its extraction.

During a run the manifest is the journal of finished clips. A killed run goes on from there.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from avrobust.data.fingerprint import CONTENT, HASH_LENGTH
from avrobust.utils.files import atomic_write

Status = Literal["ok", "skipped"]


class ManifestRow(NamedTuple):
    """One source video and the result of its extraction."""

    source: str  # path relative to the folder of videos
    label: str
    stem: str
    split: str  # names of the splits, separated by a space
    frames: int
    samples: int
    status: Status
    note: str  # what a user should know about the clip, or why it was skipped
    size: int  # of the source in bytes
    modified: int  # time of the source's last change in nanoseconds
    content: str = ""  # hash of the clip's files; empty for a clip that was skipped


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
    CONTENT,
)
OLDER_HEADER = HEADER[:-1]  # of versions that kept no hash of a clip's files


def read_manifest(path: Path) -> list[ManifestRow]:
    """Reads the rows of a manifest.

    The header, and a row that a killed run has left incomplete, are left out.

    Returns:
        [] if there is no manifest.
    """
    if not path.is_file():
        return []
    rows = []
    with path.open(newline="", encoding="utf-8") as file:
        for fields in csv.reader(file):
            row = _parse_row(fields)
            if row is not None:
                rows.append(row)
    return rows


def _parse_row(fields: list[str]) -> ManifestRow | None:
    """Parses one row; None if it is incomplete or the header."""
    if len(fields) == len(OLDER_HEADER):
        fields = [*fields, ""]
    try:
        source, label, stem, split, frames, samples, status, note, size, modified, content = fields
        numbers = int(frames), int(samples), int(size), int(modified)
    except ValueError:
        return None
    if status not in ("ok", "skipped") or len(content) not in (0, HASH_LENGTH):
        return None
    return ManifestRow(
        source=source,
        label=label,
        stem=stem,
        split=split,
        frames=numbers[0],
        samples=numbers[1],
        status="ok" if status == "ok" else "skipped",
        note=note,
        size=numbers[2],
        modified=numbers[3],
        content=content,
    )


def write_manifest(path: Path, rows: Iterable[ManifestRow]) -> None:
    """Writes the manifest, completely or not at all."""
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(rows)


def append_row(path: Path, row: ManifestRow) -> None:
    """Adds one row and closes the file, so that a killed run keeps the row."""
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow(row)
