"""Runs `prepare` and looks at what it left."""

import csv
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from avrobust.data.layout import SPLITS, Entry, read_list
from avrobust.preparation.prepare import prepare
from avrobust.preparation.summary import PreparationSummary
from tests.data.videos import number


def run(videos: Path, root: Path, **options: object) -> PreparationSummary:
    return prepare(videos, root, workers=2, **options)


def entries(root: Path) -> list[Entry]:
    return [entry for split in SPLITS for entry in read_list(root / f"{split}.csv")]


def assert_whole(root: Path, entry: Entry, number_of_first: int = 0) -> None:
    """The clip has the frames and the sound that its list promises, and the frames are in order."""
    files = sorted(path.name for path in entry.frames_path(root).iterdir())
    assert files == [f"{i:06d}.jpg" for i in range(1, entry.frames + 1)]
    sound = soundfile.info(entry.audio_path(root))
    assert (sound.samplerate, sound.channels, sound.subtype) == (11_025, 1, "PCM_16")
    assert sound.frames == round(entry.frames * 11_025 / 8)
    seen = [
        number(np.asarray(Image.open(entry.frame_path(root, i + 1)))) for i in range(entry.frames)
    ]
    assert seen == list(range(number_of_first, number_of_first + entry.frames))


def manifest(root: Path) -> dict[str, dict[str, str]]:
    with (root / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return {row["source"]: row for row in csv.DictReader(file)}
