"""Reads prepared clips as samples.

A clip that cannot be read is reported with the reason. It is never replaced by zeros.
"""

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
from avrobust.data.sampling import (
    Augmentation,
    draw_augmentation,
    middle_frame,
    neighbors,
    window_start,
)
from avrobust.types import Batch, Clip, Sample
from avrobust.utils.randomness import generator

# Shorter side of a frame before the random crop, relative to the crop: 246 / 224.
TRAINING_RESIZE = 1.1

# A JPEG is decoded at no less than this multiple of the final size. Pillow's `thumbnail` uses the
# same value.
REDUCING_GAP = 2.0


class Skipped(NamedTuple):
    """A clip that could not be read."""

    key: str
    reason: str  # one line


class LoadedBatch(NamedTuple):
    """A batch, and the clips that are missing in it because they could not be read."""

    batch: Batch
    skipped: tuple[Skipped, ...]


@final
class Clips(Dataset[Sample | Skipped]):
    """The clips of one split, indexed by (epoch, position).

    In training, the augmentation of a clip depends on the seed, the epoch and the clip's key alone,
    so the number of workers does not change the samples, and a resumed run sees the same ones. In
    evaluation there is no augmentation and the epoch has no effect.

    Args:
        root: Folder with `audio/` and `frames/`.
        entries: The rows of the split list.
        classes: Names of the classes in the order of their labels.
        form: Size of a sample.
        training: Whether to augment the clips.
        seed: Seed of the augmentation.
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
        self.root = root
        self.entries = entries
        self.form = form
        self.labels = {name: label for label, name in enumerate(classes)}
        self.training = training
        self.seed = seed

    def __len__(self) -> int:
        return len(self.entries)

    def subset(self, count: int) -> Self:
        """At most `count` of the clips, in their order.

        Chooses the clips whose keys have the lowest SHA-256 hashes. The choice does not depend on
        the order of the clips, and a smaller subset is a part of each larger one.
        """
        chosen = heapq.nsmallest(
            count, self.entries, key=lambda entry: sha256(entry.key.encode()).hexdigest()
        )
        keys = {entry.key for entry in chosen}
        subset = copy(self)
        subset.entries = [entry for entry in self.entries if entry.key in keys]
        return subset

    def __getitem__(self, index: tuple[int, int]) -> Sample | Skipped:
        epoch, position = index
        entry = self.entries[position]
        try:
            clip = self._read(entry, epoch)
        except (OSError, ValueError, soundfile.LibsndfileError) as error:
            reason = " ".join(str(error).split())
            return Skipped(entry.key, reason.replace(f"{self.root}/", ""))
        return Sample(clip, self.labels[entry.label], entry.key)

    def _read(self, entry: Entry, epoch: int) -> Clip:
        if entry.frames < 1:
            raise ValueError("its split list promises no frame")
        augmentation = None
        if self.training:
            augmentation = draw_augmentation(
                entry.frames,
                self.form.audio_samples,
                generator(self.seed, "augment", epoch, entry.key),
            )
        frame = augmentation.frame if augmentation else middle_frame(entry.frames)
        audio = read_window(entry.audio_path(self.root), frame, self.form.audio_samples)
        numbers = neighbors(frame, self.form.frames, self.form.stride, entry.frames)
        frames = []
        for number in numbers:
            path = entry.frame_path(self.root, number)
            frames.append(read_frame(path, self.form.image_size, augmentation))
        volume = augmentation.volume if augmentation else 1.0
        return Clip((volume * audio).clamp(-1, 1), torch.stack(frames))


def read_window(path: Path, frame: int, samples: int) -> Tensor:
    """Reads the window of a WAV file that is centered on a frame.

    Only the window is read, not the whole file. Several channels are averaged. A recording that is
    shorter than the window is repeated.

    Args:
        path: The WAV file.
        frame: Number of the frame, counted from 1.
        samples: Length of the window in samples.

    Returns:
        Waveform (1, samples) in [-1, 1].

    Raises:
        ValueError: The file is empty, has another sample rate than 11,025 Hz, or holds samples that
            are not finite.
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


def read_frame(path: Path, size: int, augmentation: Augmentation | None) -> Tensor:
    """Reads one frame: a center crop, or the crop and flip of a training sample.

    The result is that of resizing the whole frame (bicubic, antialiased) and then cropping it,
    except for rounding: Pillow may resize a tall crop in the other direction first. A JPEG that is
    more than REDUCING_GAP times larger than needed is decoded at a half, a quarter or an eighth of
    its size, which changes pixels by less than one level of 255 on average.

    Args:
        path: The JPEG file.
        size: Width and height of the crop in pixels.
        augmentation: The random choices of a training sample; None for the center crop.

    Returns:
        Frame (3, size, size), RGB in [0, 1].

    Raises:
        OSError: The file is missing or damaged.
    """
    with Image.open(path) as file:
        crop = crop_geometry(file.size, size, augmentation)
        needed = math.ceil(REDUCING_GAP * min(crop.width, crop.height))
        drafted = file.draft(None, (needed, needed))
        # Size of the frame as it is decoded, after a possible reduction.
        decoded_width, decoded_height = drafted[1][2:] if drafted else file.size
        image = file if file.mode == "RGB" else file.convert("RGB")
        box = (
            crop.x * decoded_width / crop.width,
            crop.y * decoded_height / crop.height,
            (crop.x + size) * decoded_width / crop.width,
            (crop.y + size) * decoded_height / crop.height,
        )
        image = image.resize((size, size), Image.Resampling.BICUBIC, box)
    if augmentation and augmentation.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    # NumPy divides here because torch would synchronize its threads for this small array.
    pixels = np.divide(np.asarray(image), 255, dtype=np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1)


class CropGeometry(NamedTuple):
    """The size to which a frame is resized, and the place of the crop in it, in pixels."""

    width: int  # of the resized frame
    height: int  # of the resized frame
    x: int  # left edge of the crop
    y: int  # upper edge of the crop


def crop_geometry(
    frame_size: tuple[int, int], crop_size: int, augmentation: Augmentation | None = None
) -> CropGeometry:
    """Computes how a frame is resized and cropped.

    Args:
        frame_size: Width and height of the frame in pixels.
        crop_size: Width and height of the crop in pixels.
        augmentation: The random choices of a training sample; None for the center crop.
    """
    short_side, top, left = crop_size, 0.5, 0.5
    if augmentation:
        short_side = int(crop_size * TRAINING_RESIZE)
        top, left = augmentation.top, augmentation.left
    scale = short_side / min(frame_size)
    width = max(short_side, round(frame_size[0] * scale))
    height = max(short_side, round(frame_size[1] * scale))
    return CropGeometry(
        width, height, round((width - crop_size) * left), round((height - crop_size) * top)
    )


def collate(items: list[Sample | Skipped]) -> LoadedBatch:
    """Stacks samples to a batch and lists the clips that could not be read.

    If no clip could be read, the tensors of the batch are empty and `key` is ().
    """
    audio, visual, labels, keys, skipped = [], [], [], [], []
    for item in items:
        if isinstance(item, Skipped):
            skipped.append(item)
            continue
        audio.append(item.clip.audio)
        visual.append(item.clip.visual)
        labels.append(item.label)
        keys.append(item.key)
    if not keys:
        no_clip = Clip(torch.empty(0), torch.empty(0))
        return LoadedBatch(Batch(no_clip, torch.empty(0, dtype=torch.long), ()), tuple(skipped))
    clip = Clip(torch.stack(audio), torch.stack(visual))
    return LoadedBatch(Batch(clip, torch.tensor(labels), tuple(keys)), tuple(skipped))
