"""A prepared data set: its lists, classes, overlaps and identity. What `dataset=` builds."""

import hashlib
import json
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, final

from avrobust.data.layout import SPLITS, Entry, Format, Split, read_list
from avrobust.errors import UserError

if TYPE_CHECKING:
    from avrobust.data.clips import Clips


@final
class Prepared:
    """Clips in the prepared layout (see `avrobust.data.layout`) with their split lists.

    Args:
        root: folder with `audio/` and `frames/`.
        lists: folder of the split lists; None for `root`.
        list_name: the lists' file name, with {split} for train, val and test.
        classes: class names in the order of their labels; None for the lists' own names, sorted.
        image_size: pixels a side of a sample's frames.
        audio_samples: samples of audio, at 11,025 Hz.
        frames: frames a sample, `stride` frames (1/8 s each) apart.

    Raises:
        UserError: the root, a list or a class is missing, or the sizes make no sense.
    """

    def __init__(
        self,
        root: str,
        lists: str | None = None,
        list_name: str = "{split}.csv",
        classes: list[str] | None = None,
        image_size: int = 224,
        audio_samples: int = 65_535,
        frames: int = 1,
        stride: int = 8,
    ) -> None:
        for name, value in (
            ("image_size", image_size),
            ("audio_samples", audio_samples),
            ("frames", frames),
        ):
            if value < 1:
                raise UserError(f"dataset.{name}={value}: must be at least 1")
        self.root = Path(root)
        self.form = Format(image_size, audio_samples, frames, stride)
        self._lists = Path(lists or root)
        self._list_name = list_name
        self.entries = self._read()
        self.classes = self._classes(classes)

    def clips(self, split: Split, *, training: bool = False, seed: int = 0) -> "Clips":
        """The clips of one split, augmented if they are for training."""
        from avrobust.data.clips import (
            Clips,
        )  # with torch, which a finished run is recognized without

        return Clips(
            self.root, self.entries[split], self.classes, self.form, training=training, seed=seed
        )

    def overlaps(self) -> dict[str, int]:
        """How many clips two splits share, for each pair that shares any: {"train and test": 8}."""
        keys = {split: {e.key for e in entries} for split, entries in self.entries.items()}
        shared = {f"{a} and {b}": len(keys[a] & keys[b]) for a, b in combinations(SPLITS, 2)}
        return {pair: count for pair, count in shared.items() if count}

    def fingerprint(self) -> str:
        """What the data is, whatever folder it lies in: a hash of lists, classes and how it was made."""
        files = [self.root / name for name in ("prepare.json", "synthetic.json")]
        settings = [file.read_text() for file in files if file.is_file()]
        content = [self.classes, [self.entries[s] for s in SPLITS], settings]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def _read(self) -> dict[Split, list[Entry]]:
        for folder in (self.root, self.root / "audio", self.root / "frames"):
            if not folder.is_dir():
                raise UserError(
                    f"dataset.root={self.root}: no folder {folder}; prepare the videos first: "
                    f"avrobust prepare VIDEOS {self.root}"
                )
        entries = {
            split: read_list(self._lists / self._list_name.format(split=split)) for split in SPLITS
        }
        for split in SPLITS:
            if not entries[split]:
                raise UserError(
                    f"{self._lists / self._list_name.format(split=split)}: names no clip"
                )
        return entries

    def _classes(self, given: list[str] | None) -> list[str]:
        found = {e.label for entries in self.entries.values() for e in entries}
        classes = given or sorted(found)
        if unknown := sorted(found - set(classes)):
            raise UserError(
                f"{self._lists}: class {unknown[0]!r} is not among dataset.classes ({', '.join(classes)})"
            )
        if len(classes) < 2:
            raise UserError(
                f"{self._lists}: only the class {classes[0]!r}; a classifier needs at least two"
            )
        return classes
