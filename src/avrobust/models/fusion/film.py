"""Feature-wise linear modulation of the visual embedding by the audio embedding."""

from typing import final

from torch import Tensor, nn

from avrobust.models.fusion.base import Fusion
from avrobust.ranges import PositiveInt
from avrobust.types import Features


@final
class FiLM(Fusion):
    """alpha(f_a) * f_v + beta(f_a) with alpha and beta linear.

    Perez et al. 2018; Tian & Xu 2021, Table 2.
    """

    def __init__(self, audio_dim: PositiveInt, visual_dim: PositiveInt) -> None:
        super().__init__(audio_dim, visual_dim)
        self.out_dim = visual_dim
        self.alpha = nn.Linear(audio_dim, visual_dim)
        self.beta = nn.Linear(audio_dim, visual_dim)

    def forward(self, features: Features) -> Tensor:
        modulated: Tensor = self.alpha(features.audio) * features.visual + self.beta(features.audio)
        return modulated
