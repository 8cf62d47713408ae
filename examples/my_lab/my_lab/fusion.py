"""A fusion by products of projected embeddings."""

from typing import final

from torch import Tensor, nn

from avrobust.models.fusion.base import Fusion
from avrobust.ranges import PositiveInt
from avrobust.types import Features


@final
class LowRankBilinear(Fusion):
    """tanh(U f_a) * tanh(V f_v), U and V linear. Kim et al. 2017 (arXiv 1610.04325).

    Args:
        audio_dim: Size of f_a; the audio encoder says it.
        visual_dim: Size of f_v; the visual encoder says it.
        rank: Size of the product.
    """

    def __init__(
        self, audio_dim: PositiveInt, visual_dim: PositiveInt, rank: PositiveInt = 64
    ) -> None:
        super().__init__(audio_dim, visual_dim)
        self.out_dim = rank
        self.audio = nn.Linear(audio_dim, rank)
        self.visual = nn.Linear(visual_dim, rank)

    def forward(self, features: Features) -> Tensor:
        audio: Tensor = self.audio(features.audio).tanh()
        visual: Tensor = self.visual(features.visual).tanh()
        return audio * visual
