"""Reads prepared clips as samples. A clip that cannot be read is named with its reason, never replaced by zeros."""

import heapq
import math
from copy import copy
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Self, final

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from avrobust.data.layout import SAMPLE_RATE, Entry, Format
from avrobust.data.sampling import Augmentation, draw, middle, neighbors, window_start
from avrobust.types import Batch, Clip, Sample
from avrobust.utils.randomness import generator

TRAINING_RESIZE = 1.1  # the short side before the random crop, over the crop: 246 / 224
REDUCING_GAP = 2.0  # a JPEG is decoded at this many times the size wanted at least; Pillow's own value for thumbnails


class Skipped(NamedTuple):
    """A clip that could not be read, and why."""

    key: str
    reason: str


class LoadedBatch(NamedTuple):
    """A batch, and the clips that should have been in it."""

    batch: Batch
    skipped: tuple[Skipped, ...]


@final
class Clips(Dataset[Sample | Skipped]):
    """The clips of one split.

    Indexed by (epoch, position): in training, a clip's augmentation depends on seed, epoch and key
    alone, so that any number of workers and any resumed run see the same samples. In evaluation the
    epoch changes nothing.
    """

    def __init__(
        self,
        root: Path,
        entries: list[Entry],
        classes: list[str],
        form: Format,
        *,
        training: bool,
        seed: int = 0,
    ) -> None:
        self.root, self.entries, self.form = root, entries, form
        self.labels = {name: i for i, name in enumerate(classes)}
        self.training, self.seed = training, seed

    def __len__(self) -> int:
        return len(self.entries)

    def few(self, count: int) -> Self:
        """So many of these clips, in their order, all if there are fewer: those whose keys have the lowest hashes."""
        drawn = heapq.nsmallest(
            count, self.entries, key=lambda entry: sha256(entry.key.encode()).hexdigest()
        )
        part, keys = copy(self), {entry.key for entry in drawn}
        part.entries = [entry for entry in self.entries if entry.key in keys]
        return part

    def __getitem__(self, index: tuple[int, int]) -> Sample | Skipped:
        epoch, position = index
        entry = self.entries[position]
        try:
            return Sample(self._clip(entry, epoch), self.labels[entry.label], entry.key)
        except (OSError, ValueError, soundfile.LibsndfileError) as error:
            reason = " ".join(str(error).split())
            return Skipped(entry.key, reason.replace(f"{self.root}/", ""))

    def _clip(self, entry: Entry, epoch: int) -> Clip:
        if entry.frames < 1:
            raise ValueError("its split list promises no frame")
        choice = None
        if self.training:
            choice = draw(
                entry.frames,
                self.form.audio_samples,
                generator(self.seed, "augment", epoch, entry.key),
            )
        frame = choice.frame if choice else middle(entry.frames)
        audio = read_window(entry.audio_path(self.root), frame, self.form.audio_samples)
        numbers = neighbors(frame, self.form.frames, self.form.stride, entry.frames)
        pictures = [
            read_picture(entry.frame_path(self.root, n), self.form.image_size, choice)
            for n in numbers
        ]
        volume = choice.volume if choice else 1.0
        return Clip((volume * audio).clamp(-1, 1), torch.stack(pictures))


def read_window(path: Path, frame: int, samples: int) -> Tensor:
    """The stretch of a WAV file centerd on a frame, (1, samples) in [-1, 1]; nothing else of the file is read.

    Raises:
        ValueError: the file is empty, of another sample rate, or holds samples that are not finite.
    """
    with soundfile.SoundFile(path) as file:
        if file.samplerate != SAMPLE_RATE:
            raise ValueError(f"{path}: its sample rate is {file.samplerate}, not {SAMPLE_RATE}")
        if not file.frames:
            raise ValueError(f"{path}: no audio sample")
        start = window_start(frame, samples, file.frames)
        if file.frames >= samples:
            file.seek(start)
        audio: NDArray[np.float32] = file.read(samples, dtype="float32")
    if audio.ndim == 2:
        audio = audio.mean(1)
    if not np.isfinite(audio).all():
        raise ValueError(f"{path}: samples that are not finite")
    if len(audio) < samples:
        audio = np.take(audio, np.arange(start, start + samples), mode="wrap")
    return torch.from_numpy(audio).unsqueeze(0)


def read_picture(path: Path, size: int, choice: Augmentation | None) -> Tensor:
    """One frame, (3, size, size) in [0, 1]: a center crop, or the crop and flip of a training sample.

    As if the whole frame were resized (bicubic, antialiased) and then cropped, but for rounding:
    Pillow may resize a tall crop in the other direction first. A JPEG of more than REDUCING_GAP
    times the size wanted is decoded at a half, a quarter or an eighth of its size, which moves
    pixels by less than one level of 255 in the mean.

    Raises:
        OSError: the file is missing or damaged.
    """
    with Image.open(path) as file:
        width, height, x, y = crop_of(file.size, size, choice)
        least = math.ceil(REDUCING_GAP * min(width, height))
        drafted = file.draft(None, (least, least))
        right, bottom = (
            drafted[1][2:] if drafted else file.size
        )  # where the frame ends, in pixels as decoded
        picture = file if file.mode == "RGB" else file.convert("RGB")
        box = (
            x * right / width,
            y * bottom / height,
            (x + size) * right / width,
            (y + size) * bottom / height,
        )
        picture = picture.resize((size, size), Image.Resampling.BICUBIC, box)
    if choice and choice.flip:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    # Not in torch, whose threads would have to meet for so little.
    return torch.from_numpy(np.divide(np.asarray(picture), 255, dtype=np.float32)).permute(2, 0, 1)


def crop_of(
    whole: tuple[int, int], size: int, choice: Augmentation | None = None
) -> tuple[int, int, int, int]:
    """What a frame of (width, height) pixels is resized to, and the upper left corner of the crop: width, height, x, y.

    Args:
        whole: the frame's size.
        size: the crop's side.
        choice: of a training sample; None for the center crop.
    """
    short = int(size * TRAINING_RESIZE) if choice else size
    scale = short / min(whole)
    width, height = (max(short, round(side * scale)) for side in whole)
    top, left = (choice.top, choice.left) if choice else (0.5, 0.5)
    return width, height, round((width - size) * left), round((height - size) * top)


def collate(items: list[Sample | Skipped]) -> LoadedBatch:
    """Stacks samples; those that could not be read are named beside. With none left the batch has no clip."""
    samples = [item for item in items if isinstance(item, Sample)]
    skipped = tuple(item for item in items if isinstance(item, Skipped))
    if not samples:
        empty = Clip(torch.empty(0), torch.empty(0))
        return LoadedBatch(Batch(empty, torch.empty(0, dtype=torch.long), ()), skipped)
    clip = Clip(
        torch.stack([s.clip.audio for s in samples]), torch.stack([s.clip.visual for s in samples])
    )
    return LoadedBatch(
        Batch(clip, torch.tensor([s.label for s in samples]), tuple(s.key for s in samples)),
        skipped,
    )
