"""The prepared layout: the files of a clip, and the split lists that name the clips.

    <root>/audio/<class>/<id>.wav                 mono, 11,025 Hz, 16 bit
    <root>/frames/<class>/<id>.mp4/000001.jpg ... 8 frames a second, numbered from 1
    <lists>/train.csv, val.csv, test.csv          one row a clip:
                                                  /<class>/<id>.wav,/<class>/<id>.mp4,<frame count>

The leading slash of a row is part of the released format. It is not an absolute path.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from avrobust.errors import UserError
from avrobust.utils.files import atomic_write

FRAME_RATE = 8  # frames a second
SAMPLE_RATE = 11_025  # audio samples a second

# Goes up when the code that reads clips takes other samples from the same files. It is in the
# fingerprint of every data set.
SAMPLING_REVISION = 0

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Format(NamedTuple):
    """The size of a sample."""

    image_size: int = 224  # width and height of a frame in pixels
    audio_samples: int = 65_535  # 5.94 s at 11,025 Hz
    frames: int = 1  # frames of a sample
    stride: int = 8  # from one frame of a sample to the next, in eighths of a second

    @property
    def values(self) -> int:
        """Number of values in a sample, audio and visual together."""
        return self.audio_samples + self.frames * 3 * self.image_size**2


class Entry(NamedTuple):
    """One row of a split list."""

    label: str  # name of the class
    stem: str  # name of the file without its extension
    frames: int  # number of frames that were extracted

    @property
    def key(self) -> str:
        """Name of the clip: "<class>/<id>"."""
        return f"{self.label}/{self.stem}"

    def audio_path(self, root: Path) -> Path:
        """WAV file of the clip."""
        return root / "audio" / self.label / f"{self.stem}.wav"

    def frames_path(self, root: Path) -> Path:
        """Folder of the clip's frames."""
        return root / "frames" / self.label / f"{self.stem}.mp4"

    def frame_path(self, root: Path, number: int) -> Path:
        """JPEG file of one frame, counted from 1."""
        return self.frames_path(root) / f"{number:06d}.jpg"


def write_list(path: Path, entries: Iterable[Entry]) -> None:
    """Writes one split list in the released format, and its folder if that is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        for entry in entries:
            name = f"/{entry.label}/{entry.stem}"
            writer.writerow((f"{name}.wav", f"{name}.mp4", entry.frames))


def read_list(path: Path) -> list[Entry]:
    """Reads one split list.

    Raises:
        UserError: The file is missing, or a row is not in the released format.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such split list")
    entries = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if row:
                entries.append(_parse_row(path, number, row))
    return entries


def _parse_row(path: Path, number: int, row: list[str]) -> Entry:
    """Parses one row of a split list; `path` and `number` are for the error message."""
    try:
        audio, video, frames = row
        _, label, name = audio.split("/")
        stem = name.removesuffix(".wav")
        if video != f"/{label}/{stem}.mp4" or label in ("", ".", "..") or int(frames) < 0:
            raise ValueError
        return Entry(label, stem, int(frames))
    except ValueError:
        raise UserError(
            f"{path}, line {number}: {','.join(row)!r} is not of the form "
            "/<class>/<id>.wav,/<class>/<id>.mp4,<frames>"
        ) from None
