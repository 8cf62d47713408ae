"""What every encoder is: a module from one modality of a clip to an embedding of `dim` numbers."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from avrobust.types import IMAGENET_MEAN, IMAGENET_STD


class AudioEncoder(nn.Module, ABC):
    """Waveforms (B, 1, S) in [-1, 1] to embeddings (B, dim).

    Any front end is part of the encoder, so that attacks see samples.
    """

    dim: int

    @abstractmethod
    def forward(self, audio: Tensor) -> Tensor:
        """(B, 1, S) -> (B, dim)."""


class VisualEncoder(nn.Module, ABC):
    """Frames (B, T, 3, H, W) in [0, 1] to embeddings (B, dim).

    An embedding is the mean of the encoder's map over places and the T frames. Normalization is
    part of the encoder, so that attacks see pixels. How the paper pools several frames is not known
    to us (its runs use one); the mean is our choice.
    """

    dim: int
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def forward(self, visual: Tensor) -> Tensor:
        """(B, T, 3, H, W) -> (B, dim)."""
        return self.map(visual).mean((3, 4)).mean(1)

    def map(self, visual: Tensor) -> Tensor:
        """(B, T, 3, H, W) -> (B, T, dim, h, w): an embedding of each place of each frame."""
        frames = (visual.flatten(0, 1) - self.mean) / self.std  # (B T, 3, H, W)
        seen = self.map_frames(frames)
        return seen.view(*visual.shape[:2], *seen.shape[1:])

    @abstractmethod
    def map_frames(self, frames: Tensor) -> Tensor:
        """Normalized frames (N, 3, H, W) -> (N, dim, h, w)."""
