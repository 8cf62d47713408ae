"""A prepared data set: split lists, classes, overlaps of splits, fingerprint."""

import hashlib
import json
from itertools import chain, combinations
from pathlib import Path
from typing import TYPE_CHECKING, final

from avrobust.data.fingerprint import contents
from avrobust.data.layout import SAMPLING_REVISION, SPLITS, Entry, Format, Split, read_list
from avrobust.errors import UserError
from avrobust.ranges import PositiveInt
from avrobust.utils.arguments import checks_arguments

if TYPE_CHECKING:
    from avrobust.data.clips import Clips


@final
@checks_arguments
class Prepared:
    """Clips in the prepared layout, with split lists. The option `dataset` builds it.

    The prepared layout has the sound of a clip in `<root>/audio/<class>/<id>.wav` (mono, 11,025
    Hz), its frames in `<root>/frames/<class>/<id>.mp4/000001.jpg` and so on (8 frames a second),
    and one list a split with the rows `/<class>/<id>.wav,/<class>/<id>.mp4,<frame count>`.

    Args:
        root: Folder with `audio/` and `frames/`.
        lists: Folder of the split lists; None for `root`.
        list_name: File name of the lists, with {split} for train, val and test.
        classes: Names of the classes in the order of their labels; None for the names in the lists,
            sorted.
        image_size: Width and height of a sample's frames in pixels.
        audio_samples: Number of audio samples in a sample, at 11,025 Hz.
        frames: Number of frames in a sample.
        stride: From one frame of a sample to the next, in eighths of a second.

    Raises:
        ValueError: A number is out of range.
        UserError: The root, a list or a class is missing.
    """

    def __init__(
        self,
        root: str,
        lists: str | None = None,
        list_name: str = "{split}.csv",
        classes: list[str] | None = None,
        image_size: PositiveInt = 224,
        audio_samples: PositiveInt = 65_535,
        frames: PositiveInt = 1,
        stride: PositiveInt = 8,
    ) -> None:
        self.root = Path(root)
        self.form = Format(image_size, audio_samples, frames, stride)
        self._lists = Path(lists or root)
        self._list_name = list_name
        self.entries = self._read()
        self.classes = self._check_classes(classes)
        self._fingerprint: str | None = None

    def clips(self, split: Split, *, training: bool = False, seed: int = 0) -> "Clips":
        """The clips of one split, augmented if they are for training."""
        # Imports torch, which is not needed to recognize a finished run.
        from avrobust.data.clips import Clips

        return Clips(
            self.root, self.entries[split], self.classes, self.form, training=training, seed=seed
        )

    def overlaps(self) -> dict[str, int]:
        """Counts the clips that two splits share, for example {"train and test": 8}."""
        overlaps = {}
        for first, second in combinations(SPLITS, 2):
            first_keys = {entry.key for entry in self.entries[first]}
            second_keys = {entry.key for entry in self.entries[second]}
            if count := len(first_keys & second_keys):
                overlaps[f"{first} and {second}"] = count
        return overlaps

    def fingerprint(self) -> str:
        """Hash of the classes, the split lists and the content of their clips.

        The content is what `avrobust prepare` hashed; without its hashes it is the sizes of files
        and the times of their last changes (see `contents`). The place of the data set does not
        enter the hash. It is computed once: a data set must not change while it is used.
        """
        if self._fingerprint is None:
            lists = [self.entries[split] for split in SPLITS]
            clips = contents(self.root, chain.from_iterable(lists))
            content = [self.classes, lists, clips, SAMPLING_REVISION]
            digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
            self._fingerprint = digest.hexdigest()[:16]
        return self._fingerprint

    def _read(self) -> dict[Split, list[Entry]]:
        for folder in (self.root, self.root / "audio", self.root / "frames"):
            if not folder.is_dir():
                raise UserError(
                    f"dataset.root={self.root}: no folder {folder}; prepare the videos first: "
                    f"avrobust prepare VIDEOS {self.root}"
                )
        entries = {}
        for split in SPLITS:
            try:
                path = self._lists / self._list_name.format(split=split)
            except (IndexError, KeyError, ValueError):
                raise UserError(
                    f"dataset.list_name={self._list_name}: must be a name with {{split}} in it"
                ) from None
            entries[split] = read_list(path)
            if not entries[split]:
                raise UserError(f"{path}: names no clip")
        return entries

    def _check_classes(self, classes: list[str] | None) -> list[str]:
        """The class names in the order of their labels."""
        names_in_lists: set[str] = set()
        for entries in self.entries.values():
            names_in_lists.update(entry.label for entry in entries)
        if classes is not None and len(set(classes)) < max(2, len(classes)):
            raise UserError(
                f"dataset.classes=[{','.join(classes)}]: must be at least two names, each of them "
                "once; null takes those in the lists"
            )
        classes = classes or sorted(names_in_lists)
        if unknown := sorted(names_in_lists - set(classes)):
            raise UserError(
                f"{self._lists}: class {unknown[0]!r} is not among dataset.classes "
                f"({', '.join(classes)})"
            )
        if len(classes) < 2:
            raise UserError(
                f"{self._lists}: only the class {classes[0]!r}; a classifier needs at least two"
            )
        return classes
