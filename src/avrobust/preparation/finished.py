"""Recognizes the clips that an earlier run has finished."""

from pathlib import Path
from typing import NamedTuple

from avrobust.data.fingerprint import clip_stamp, content_hash
from avrobust.data.layout import Entry
from avrobust.errors import UserError
from avrobust.preparation.manifest import ManifestRow, read_manifest, write_manifest
from avrobust.preparation.sources import SourceVideo
from avrobust.utils.files import file_hash


class FileStamp(NamedTuple):
    """Recognizes a file that may have changed."""

    size: int  # in bytes
    modified: int  # time of the last change in nanoseconds, which copying may set back
    changed: int  # time of the last change of anything about the file, which nobody can set


def file_stamp(path: Path) -> FileStamp:
    """The stamp of a file; zeros if the file does not exist, which is reported with its clip."""
    try:
        status = path.stat()
    except OSError:
        return FileStamp(0, 0, 0)
    return FileStamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


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
        if row_before is None or row_before.stem != source.stem:
            continue
        unchanged = _with_source(videos / source.path, row_before)
        whole = _with_clip(root, unchanged) if unchanged else None
        if whole:
            finished[source.key] = whole
    write_manifest(manifest, finished.values())
    return set(finished)


def _with_source(video: Path, row: ManifestRow) -> ManifestRow | None:
    """The row with the video's stamp as it is now; None if the video is another one.

    Where the stamp is another one, the video is read: it may have been copied or touched, and a
    file with the same size and time may be another one (`cp -p`).
    """
    stamp = file_stamp(video)
    if stamp == FileStamp(row.size, row.modified, row.changed):
        return row
    if not row.source_content and stamp[:2] != (row.size, row.modified):
        return None  # an older version kept no hash
    try:
        if not video.is_file():
            return None  # A pipe or a device would never end.
        content = file_hash(video)
    except OSError:
        return None
    if row.source_content not in ("", content):
        return None
    return row._replace(
        size=stamp.size, modified=stamp.modified, changed=stamp.changed, source_content=content
    )


def _with_clip(root: Path, row: ManifestRow) -> ManifestRow | None:
    """The row with the stamp of the clip's files; None if they are not those that were written."""
    entry = Entry(row.label, row.stem, row.frames)
    if not (entry.audio_path(root).is_file() and entry.frame_path(root, row.frames).is_file()):
        return None
    stamp = clip_stamp(root, entry)
    if row.content and row.stamp == stamp:
        return row
    content = content_hash(entry.audio_path(root), entry.frames_path(root))
    if row.content not in ("", content):
        return None
    return row._replace(content=content, stamp=stamp)
