"""Concatenation, the paper's default fusion."""

from typing import final

import torch
from torch import Tensor

from avrobust.models.fusion.base import Fusion
from avrobust.ranges import PositiveInt
from avrobust.types import Features


@final
class Concat(Fusion):
    """[f_a; f_v]. Tian & Xu 2021, Table 2."""

    def __init__(self, audio_dim: PositiveInt, visual_dim: PositiveInt) -> None:
        super().__init__(audio_dim, visual_dim)
        self.out_dim = audio_dim + visual_dim

    def forward(self, features: Features) -> Tensor:
        return torch.cat(features, dim=1)
