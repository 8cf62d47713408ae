"""The manifest of a prepared data set: one row a source video, with the result of its extraction.

During a run the manifest is the journal of finished clips. A killed run goes on from there.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from avrobust.data.fingerprint import CONTENT, STAMP, manifest_rows
from avrobust.utils.files import HASH_LENGTH, atomic_write

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
    # Empty for a clip that was skipped:
    content: str = ""  # hash of the clip's files
    changed: int = 0  # time of the last change of the source's content, name or rights, in ns
    source_content: str = ""  # hash of the source
    stamp: str = ""  # hash of the sizes and times of the clip's files


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
    "changed",
    "source_content",
    STAMP,
)
NEW = 3  # columns that versions before 0.4 do not have, and one more in versions before 0.3
OLDER = {len(HEADER) - NEW: ["0", "", ""], len(HEADER) - NEW - 1: ["", "0", "", ""]}


def read_manifest(path: Path) -> list[ManifestRow]:
    """Reads the rows of a manifest.

    The header, damaged rows, and a row that a killed run has left incomplete are left out.

    Returns:
        [] if there is no manifest.
    """
    rows = []
    for fields in manifest_rows(path):
        row = _parse_row(fields)
        if row is not None:
            rows.append(row)
    return rows


def _parse_row(fields: list[str]) -> ManifestRow | None:
    """Parses one row; None if it is incomplete or the header."""
    fields = [*fields, *OLDER.get(len(fields), [])]
    try:
        source, label, stem, split, frames, samples, status, note, size, modified, *new = fields
        content, changed, source_content, stamp = new
        numbers = int(frames), int(samples), int(size), int(modified), int(changed)
    except ValueError:
        return None
    lengths = {len(content), len(source_content), len(stamp)}
    if status not in ("ok", "skipped") or not lengths <= {0, HASH_LENGTH}:
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
        changed=numbers[4],
        source_content=source_content,
        stamp=stamp,
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
