"""Sum fusion."""

from typing import final

from torch import Tensor

from avrobust.models.fusion.base import Fusion, same_dim
from avrobust.ranges import PositiveInt
from avrobust.types import Features


@final
class Sum(Fusion):
    """f_a + f_v. Tian & Xu 2021, Table 2."""

    def __init__(self, audio_dim: PositiveInt, visual_dim: PositiveInt) -> None:
        super().__init__(audio_dim, visual_dim)
        self.out_dim = same_dim(self)

    def forward(self, features: Features) -> Tensor:
        return features.audio + features.visual
