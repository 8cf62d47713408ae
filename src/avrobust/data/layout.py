"""The prepared layout on disk: where a clip's frames and sound lie, and the split lists that name them.

    <root>/audio/<class>/<id>.wav                 mono, 11,025 Hz, 16 bit
    <root>/frames/<class>/<id>.mp4/000001.jpg ... 8 frames a second, numbered from 1
    <lists>/train.csv, val.csv, test.csv          rows "/<class>/<id>.wav,/<class>/<id>.mp4,<frame count>"

The leading slash of a row is part of the released format, never an absolute path.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from avrobust.errors import UserError

FRAME_RATE = 8  # frames a second
SAMPLE_RATE = 11_025  # audio samples a second

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Format(NamedTuple):
    """The size of a sample."""

    image_size: int = 224  # pixels a side
    audio_samples: int = 65_535  # 5.94 s at 11,025 Hz
    frames: int = 1
    stride: int = 8  # frames between two frames of a sample

    @property
    def values(self) -> int:
        """How many numbers a sample has."""
        return self.audio_samples + self.frames * 3 * self.image_size**2


class Entry(NamedTuple):
    """One row of a split list."""

    label: str  # the class's name
    stem: str  # the file's name without its ending
    frames: int  # how many frames were extracted

    @property
    def key(self) -> str:
        """The clip's name: "<class>/<id>"."""
        return f"{self.label}/{self.stem}"

    def audio_path(self, root: Path) -> Path:
        """The clip's WAV file."""
        return root / "audio" / self.label / f"{self.stem}.wav"

    def frames_path(self, root: Path) -> Path:
        """The folder of the clip's frames."""
        return root / "frames" / self.label / f"{self.stem}.mp4"

    def frame_path(self, root: Path, number: int) -> Path:
        """The JPEG file of one frame, counted from 1."""
        return self.frames_path(root) / f"{number:06d}.jpg"


def write_list(path: Path, entries: Iterable[Entry]) -> None:
    """Writes one split list in the released format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerows(
            (f"/{e.label}/{e.stem}.wav", f"/{e.label}/{e.stem}.mp4", e.frames) for e in entries
        )


def read_list(path: Path) -> list[Entry]:
    """Reads one split list.

    Raises:
        UserError: the file is missing, or a row is not of the released form.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such split list")
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [
            _entry(path, number, row) for number, row in enumerate(csv.reader(file), start=1) if row
        ]


def _entry(path: Path, number: int, row: list[str]) -> Entry:
    try:
        audio, video, frames = row
        _, label, name = audio.split("/")
        if (
            video != f"/{label}/{name.removesuffix('.wav')}.mp4"
            or label in ("", ".", "..")
            or int(frames) < 0
        ):
            raise ValueError
        return Entry(label, name.removesuffix(".wav"), int(frames))
    except ValueError:
        raise UserError(
            f"{path}, line {number}: {','.join(row)!r} is not of the form /<class>/<id>.wav,/<class>/<id>.mp4,<frames>"
        ) from None
