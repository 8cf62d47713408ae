"""Recognizes the content of clips without reading them again.

`avrobust prepare` hashes the files of each clip when it writes them, and keeps the hash in the
column `content` of manifest.csv. Such a hash is the same wherever the data set is copied to. Beside
it the manifest keeps a stamp of the files: their sizes and the times of their last changes. Where
the stamp is another one, the files are read and hashed once, and the outcome is kept in
checked.json. A clip of a root without a manifest is recognized by the stamp alone.
"""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from avrobust.data.layout import Entry
from avrobust.utils.console import track, warn
from avrobust.utils.files import HASH_LENGTH, atomic_write

MANIFEST = "manifest.csv"
CONTENT = "content"  # its column of hashes
STAMP = "stamp"  # its column of hashes of sizes and times
CHECKED = "checked.json"  # contents and stamps of clips that are not as they were prepared


def content_hash(audio: Path, frames: Path) -> str:
    """Hash of the files of one clip.

    Args:
        audio: its WAV file.
        frames: the folder of its frames.
    """
    digest = hashlib.sha256()
    for path in (audio, *sorted(frames.iterdir())):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:HASH_LENGTH]


def clip_stamp(root: Path, entry: Entry) -> str:
    """Hash of the sizes and times of a clip's files, without reading them.

    A frame that is written again in place leaves the time of its folder as it was. Hence the first
    frame, the last one and the middle one, which evaluation reads, have their share. The other
    frames have not: 80 a clip, they would take longer to look up than a start may take.
    """
    return hashlib.sha256(_stamp(root, entry).encode()).hexdigest()[:HASH_LENGTH]


def contents(root: Path, entries: Iterable[Entry]) -> dict[str, str]:
    """What recognizes the content of each clip: its hash, or the stamp of its files.

    Args:
        root: Folder of the prepared data set.
        entries: The clips.

    Returns:
        By the key of the clip.
    """
    manifest, checked = _read_manifest(root / MANIFEST), _read_checked(root / CHECKED)
    by_key: dict[str, str] = {}
    differing: dict[Entry, str] = {}
    for entry in entries:
        key = entry.key
        if key in by_key:
            continue
        if key not in manifest:
            by_key[key] = _stamp(root, entry)
            continue
        stamp = clip_stamp(root, entry)
        for kept in (manifest[key], checked.get(key)):
            if kept and kept.stamp == stamp:
                by_key[key] = kept.content
                break
        else:
            by_key[key] = ""  # keeps the place
            differing[entry] = stamp
    if differing:
        new = _hash_again(root, differing)
        for key, kept in new.items():
            by_key[key] = kept.content
        _write_checked(root / CHECKED, checked | new)
    return by_key


def manifest_rows(path: Path) -> Iterator[list[str]]:
    """Yields the fields of each row of a manifest, the header's too; nothing if there is no file.

    Damaged rows are left out: those that are not UTF-8 or no CSV.
    """
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        reader = csv.reader(file)
        while True:
            try:
                fields = next(reader)
                "".join(fields).encode()
            except StopIteration:
                return
            except (csv.Error, UnicodeEncodeError):
                continue
            yield fields


class _Kept(NamedTuple):
    """The content of a clip and the stamp that its files had then."""

    content: str
    stamp: str


def _hash_again(root: Path, stamps: Mapping[Entry, str]) -> dict[str, _Kept]:
    """Hashes clips whose files are not as they were when the clips were prepared."""
    warn(
        f"{root}: the files of {len(stamps)} clips are not those that were prepared, by their "
        "times (changed, or copied without times): reading them once"
    )
    kept = {}
    for entry, stamp in track(stamps.items(), "reading clips", len(stamps)):
        try:
            content = content_hash(entry.audio_path(root), entry.frames_path(root))
        except OSError:
            content = "missing"
        kept[entry.key] = _Kept(content, stamp)
    return kept


def _read_manifest(manifest: Path) -> dict[str, _Kept]:
    """Content and stamp by the key of the clip, of clips that have a hash.

    It is empty if there is no manifest, or if it is of a version that kept no hashes.
    """
    rows = manifest_rows(manifest)
    header = next(rows, [])
    kept = {}
    for fields in rows:
        row = dict(zip(header, fields, strict=False))
        if content := row.get(CONTENT):
            kept[f"{row.get('class')}/{row.get('stem')}"] = _Kept(content, row.get(STAMP, ""))
    return kept


def _read_checked(path: Path) -> dict[str, _Kept]:
    """What was hashed since the preparation; nothing if that cannot be read."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {key: _Kept(str(content), str(stamp)) for key, (content, stamp) in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_checked(path: Path, kept: Mapping[str, _Kept]) -> None:
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(kept), encoding="utf-8")
    except OSError as error:
        warn(f"{path}: {error.strerror}; without it every start reads these clips again")


def _stamp(root: Path, entry: Entry) -> str:
    """Sizes and times of a clip's sound, of its folder of frames and of three frames."""
    # Plain strings: building the paths by pathlib takes longer than asking the disk, and a finished
    # run on 15,000 clips is to be shown at once.
    frames = f"{root}/frames/{entry.label}/{entry.stem}.mp4"
    parts = [
        _size_and_time(f"{root}/audio/{entry.label}/{entry.stem}.wav"),
        _size_and_time(frames).partition("@")[2],  # a folder's size depends on the disk
    ]
    for number in sorted({1, max(entry.frames // 2, 1), max(entry.frames, 1)}):
        parts.append(_size_and_time(f"{frames}/{number:06d}.jpg"))
    return " ".join(parts)


def _size_and_time(path: str) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return "missing"
    return f"{status.st_size}@{status.st_mtime_ns}"
