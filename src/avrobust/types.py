"""The carriers that travel between layers, and the names of what can be attacked."""

from __future__ import annotations  # so that what only reads results can import this without torch

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Modality = Literal["audio", "visual"]
MODALITIES: tuple[Modality, Modality] = ("audio", "visual")

Condition = Literal["clean", "audio", "visual", "audiovisual"]
CONDITIONS: tuple[Condition, ...] = ("clean", "audio", "visual", "audiovisual")


# Frames are normalized with these before a visual net, and the paper measures its visual eps after
# that division.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ConditionInfo(NamedTuple):
    """One way in which clips reach a model, as results and tables name it."""

    name: str  # unique in an evaluation, for example "audio"
    title: str  # as a table's heading, for example "xA"
    modalities: tuple[Modality, ...]  # that the condition may change
    adversarial: bool  # whether it is an attack

    @property
    def clean(self) -> bool:
        """Whether the clips are as they were recorded."""
        return not self.modalities


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
    visual: Tensor  # (B, D); for a fusion that looks at places the map (B, T, D, h, w)

    def pooled(self) -> Features:
        """One embedding of each modality, (B, D): a map's mean over its places and frames."""
        return (
            self
            if self.visual.dim() == 2
            else Features(self.audio, self.visual.mean((3, 4)).mean(1))
        )


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


class Record(NamedTuple):
    """What one model did with one clip under one condition: a row of examples.csv."""

    key: str
    condition: Condition
    label: int
    prediction: int
    correct: bool
    confidence: float  # probability of the predicted class
    loss: float  # cross-entropy against the label, in nats
    audio_distance: float  # largest change of the waveform, in the audio budget's units
    visual_distance: float  # largest change of the frames, in the visual budget's units
    by: str = ""  # which member of an attack made of several fooled it; "clean" if the model errs as it is
    gradients: int = 0  # of the attacker's loss that the attack asked for
    queries: int = 0  # passes without a gradient that it asked for
    shared: int = 0  # of those gradients the ones that all conditions of the clip had in common
    target: int | None = None  # the class that the attack wanted, if it wanted a certain one


Classifier = Callable[
    [Clip], "Tensor"
]  # clips to logits (B, C); all that evaluate() asks of a model
