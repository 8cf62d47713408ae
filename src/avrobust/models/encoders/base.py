"""What every encoder is: a module from one modality of a clip to an embedding of `dim` numbers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from avrobust.ranges import FiniteFloat, PositiveFloat
from avrobust.types import IMAGENET_MEAN, IMAGENET_STD
from avrobust.utils.arguments import CheckedArguments


class AudioEncoder(nn.Module, CheckedArguments, ABC):
    """Waveforms (B, 1, S) in [-1, 1] to embeddings (B, dim).

    Any front end is part of the encoder, so that attacks see samples.
    """

    dim: int

    @abstractmethod
    def forward(self, audio: Tensor) -> Tensor:
        """(B, 1, S) -> (B, dim)."""


class VisualEncoder(nn.Module, CheckedArguments, ABC):
    """Frames (B, T, 3, H, W) in [0, 1] to embeddings (B, dim).

    An embedding is the mean of the encoder's map over its places and times. Normalization is part
    of the encoder, so that attacks see pixels.

    Args:
        mean: of each channel, which is subtracted from the frames.
        std: of each channel, by which they are divided then.

    Attributes:
        min_frames: frames that the encoder needs at least; `tasks` refuse clips with fewer.
    """

    dim: int
    min_frames: ClassVar[int] = 1
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[FiniteFloat] = IMAGENET_MEAN,
        std: Sequence[PositiveFloat] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, visual: Tensor) -> Tensor:
        """(B, T, 3, H, W) -> (B, dim)."""
        return self.map(visual).mean((3, 4)).mean(1)

    def map(self, visual: Tensor) -> Tensor:
        """(B, T, 3, H, W) -> (B, T', dim, h, w): an embedding of each place at each time."""
        return self.map_video((visual - self.mean) / self.std)

    @abstractmethod
    def map_video(self, video: Tensor) -> Tensor:
        """Normalized frames (B, T, 3, H, W) -> (B, T', dim, h, w), where T' is at most T."""


class FrameEncoder(VisualEncoder, ABC):
    """A visual encoder that looks at each frame alone, so that the order of frames has no effect.

    How the paper pools several frames is not known to us (its runs use one); the mean is our
    choice.
    """

    def map_video(self, video: Tensor) -> Tensor:
        frame_maps = self.map_frames(video.flatten(0, 1))
        return frame_maps.view(*video.shape[:2], *frame_maps.shape[1:])

    @abstractmethod
    def map_frames(self, frames: Tensor) -> Tensor:
        """Normalized frames (N, 3, H, W) -> (N, dim, h, w)."""
