"""The carriers that travel between layers: clips, embeddings, batches, records, conditions."""

from __future__ import annotations  # so that code that only reads results imports no torch

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Modality = Literal["audio", "visual"]
MODALITIES: tuple[Modality, Modality] = ("audio", "visual")

# The wrong class that a targeted attack leads to.
Target = Literal["least_likely", "random", "next"]

# Frames are normalized with these before a visual net, and the paper measures its visual eps after
# that division.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Clip(NamedTuple):
    """A batch of clips as a model sees them, or one clip without the leading batch dimension."""

    audio: Tensor  # (B, 1, S) waveform in [-1, 1]
    visual: Tensor  # (B, T, 3, H, W) RGB frames in [0, 1]

    def to(self, device: torch.device | str) -> Clip:
        """The same clips on another device."""
        return Clip(
            self.audio.to(device, non_blocking=True), self.visual.to(device, non_blocking=True)
        )


class Features(NamedTuple):
    """The embeddings of the two modalities."""

    audio: Tensor  # (B, D)
    visual: Tensor  # (B, D); the map (B, T, D, h, w) for a MapFusion

    def pooled(self) -> Features:
        """One embedding of each modality, (B, D): a map's mean over its places and frames."""
        if self.visual.dim() == 2:
            return self
        return Features(self.audio, self.visual.mean((3, 4)).mean(1))


class Sample(NamedTuple):
    """One clip of a data set."""

    clip: Clip
    label: int
    key: str  # "<class>/<id>", unique in its split


class Batch(NamedTuple):
    """Several samples stacked."""

    clip: Clip
    label: Tensor  # (B,) int64
    key: tuple[str, ...]


class ConditionInfo(NamedTuple):
    """What results and reports say about a condition that clips are evaluated under."""

    name: str  # unique in an evaluation, for example "audio"
    title: str  # a short table heading, for example "xA"
    modalities: tuple[Modality, ...]  # those that the condition may change
    adversarial: bool  # True for attacks, which count into the paper's Avg

    @property
    def clean(self) -> bool:
        """Whether the condition changes nothing."""
        return not self.modalities


class Record(NamedTuple):
    """What a model predicted for one clip under one condition: a row of examples.csv."""

    key: str
    condition: str  # the condition's name
    label: int
    prediction: int
    correct: bool
    confidence: float  # probability of the predicted class
    loss: float  # cross-entropy against the label, in nats
    audio_distance: float  # largest change of the waveform, in the audio budget's units
    visual_distance: float  # largest change of the frames, in the visual budget's units
    attack: str = ""  # the ensemble member that fooled the model; "clean": wrong without attack
    gradients: int = 0  # gradients of the attacker's loss that the attack computed
    queries: int = 0  # forward passes without a gradient
    shared_gradients: int = 0  # those gradients that one pass served to all conditions of the clip
    target: int | None = None  # the class that a targeted attack wanted


# Clips to logits (B, C). `evaluate` needs nothing else of a model.
Classifier = Callable[[Clip], "Tensor"]
