"""Recognizes the clips that an earlier run has finished."""

from pathlib import Path
from typing import NamedTuple

from avrobust.data.fingerprint import content_hash
from avrobust.data.layout import Entry
from avrobust.errors import UserError
from avrobust.preparation.manifest import ManifestRow, read_manifest, write_manifest
from avrobust.preparation.sources import SourceVideo


class FileStamp(NamedTuple):
    """Recognizes a file that has changed."""

    size: int  # in bytes
    modified: int  # time of the last change in nanoseconds


def file_stamp(path: Path) -> FileStamp:
    """The stamp of a file; zeros if the file does not exist, which is reported with its clip."""
    try:
        status = path.stat()
    except OSError:
        return FileStamp(0, 0)
    return FileStamp(status.st_size, status.st_mtime_ns)


def keep_finished(videos: Path, root: Path, sources: list[SourceVideo]) -> set[tuple[str, str]]:
    """Finds the finished clips whose videos have not changed, and removes all other manifest rows.

    Returns:
        The keys of the finished clips.

    Raises:
        UserError: The root holds clips of other videos only.
    """
    manifest = root / "manifest.csv"
    rows = {}
    for row in read_manifest(manifest):
        if row.status == "ok":
            rows[row.source, row.label] = row
    if rows:
        names = {source.name for source in sources}
        if names.isdisjoint(row.source for row in rows.values()):
            raise UserError(f"{root}: holds clips of other videos; choose another folder")
    finished = {}
    for source in sources:
        row_before = rows.get(source.key)
        if row_before is not None and _is_finished(videos, root, source, row_before):
            finished[source.key] = _with_content(root, row_before)
    write_manifest(manifest, finished.values())
    return set(finished)


def _with_content(root: Path, row: ManifestRow) -> ManifestRow:
    """The row with the hash of the clip's files, which older versions did not keep."""
    if row.content:
        return row
    entry = Entry(row.label, row.stem, row.frames)
    return row._replace(content=content_hash(entry.audio_path(root), entry.frames_path(root)))


def _is_finished(videos: Path, root: Path, source: SourceVideo, row: ManifestRow) -> bool:
    stamp = FileStamp(row.size, row.modified)
    if row.stem != source.stem or stamp != file_stamp(videos / source.path):
        return False
    entry = Entry(row.label, row.stem, row.frames)
    return entry.audio_path(root).is_file() and entry.frame_path(root, row.frames).is_file()
