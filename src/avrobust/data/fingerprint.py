"""Recognizes the content of clips without reading them again.

`avrobust prepare` hashes the files of each clip when it writes them, and keeps the hash in the
column `content` of manifest.csv. Such a hash is the same wherever the data set is copied to. A clip
without a hash is recognized by the sizes of its files and the times of their last changes.
"""

import csv
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from avrobust.data.layout import Entry

MANIFEST = "manifest.csv"
CONTENT = "content"  # its column of hashes
HASH_LENGTH = 16  # characters


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


def contents(root: Path, entries: Iterable[Entry]) -> dict[str, str]:
    """What recognizes the content of each clip: its hash, or the stamp of its files.

    Args:
        root: Folder of the prepared data set.
        entries: The clips.

    Returns:
        By the key of the clip.
    """
    hashes = _read_hashes(root / MANIFEST)
    by_key: dict[str, str] = {}
    for entry in entries:
        if entry.key not in by_key:
            by_key[entry.key] = hashes.get(entry.key) or _stamp(root, entry)
    return by_key


def _read_hashes(manifest: Path) -> dict[str, str]:
    """The hashes in a manifest by the key of the clip.

    It is empty if there is no manifest, or if it is of a version that kept no hashes.
    """
    if not manifest.is_file():
        return {}
    hashes = {}
    with manifest.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if content := row.get(CONTENT):
                hashes[f"{row.get('class')}/{row.get('stem')}"] = content
    return hashes


def _stamp(root: Path, entry: Entry) -> str:
    """Sizes and times of a clip's sound, of its folder of frames and of its middle frame.

    A frame that is written again in place leaves the time of its folder as it was. Hence the frame
    that evaluation reads.
    """
    # Plain strings: building the paths by pathlib takes longer than asking the disk, and a finished
    # run on 15,000 clips is to be shown at once.
    frames = f"{root}/frames/{entry.label}/{entry.stem}.mp4"
    middle = max(entry.frames // 2, 1)
    sound = _size_and_time(f"{root}/audio/{entry.label}/{entry.stem}.wav")
    folder = _size_and_time(frames).partition("@")[2]  # its size depends on the disk
    return f"{sound} {folder} {_size_and_time(f'{frames}/{middle:06d}.jpg')}"


def _size_and_time(path: str) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return "missing"
    return f"{status.st_size}@{status.st_mtime_ns}"
