"""A defense that trains on noisy clips."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from avrobust.defenses.base import Defense, StepOutput
from avrobust.models.classifier import AVClassifier
from avrobust.ranges import NonNegativeFloat
from avrobust.types import Clip


@final
class GaussianNoise(Defense):
    """Cross-entropy on clips with Gaussian noise. The training of Cohen et al. 2019 (1902.02918).

    Args:
        audio: Standard deviation of the noise on the waveform, which is in [-1, 1].
        visual: Standard deviation of the noise on the frames, which are in [0, 1].
        match_epochs: Train twice, as defenses of two stages do.
    """

    def __init__(
        self,
        audio: NonNegativeFloat = 0.02,
        visual: NonNegativeFloat = 0.05,
        match_epochs: bool = False,
    ) -> None:
        super().__init__(match_epochs=match_epochs)
        self.audio, self.visual = audio, visual

    def train(
        self, model: AVClassifier, clip: Clip, label: Tensor, generators: Sequence[Generator]
    ) -> StepOutput:
        noisy = Clip(
            (clip.audio + self.audio * _noise(clip.audio, generators)).clamp(-1, 1),
            (clip.visual + self.visual * _noise(clip.visual, generators)).clamp(0, 1),
        )
        logits = model(noisy)
        return StepOutput(F.cross_entropy(logits, label), logits)


def _noise(x: Tensor, generators: Sequence[Generator]) -> Tensor:
    """Standard normal noise in the shape of x, (B, ...), each clip's from its own generator."""
    clips = [torch.randn(x.shape[1:], generator=generator) for generator in generators]
    return torch.stack(clips).to(x.device)
