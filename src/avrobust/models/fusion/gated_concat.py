"""Each modality gated by the other, then concatenated."""

from typing import final

import torch
from torch import Tensor

from avrobust.models.fusion.base import Fusion, same_dim
from avrobust.ranges import PositiveInt
from avrobust.types import Features


@final
class GatedConcat(Fusion):
    """[sigmoid(f_a) * f_v; sigmoid(f_v) * f_a]. Tian & Xu 2021, Table 2.

    Whether the paper's gates hold linear layers is uncertain; like its slides, these are the bare
    sigmoid.
    """

    def __init__(self, audio_dim: PositiveInt, visual_dim: PositiveInt) -> None:
        super().__init__(audio_dim, visual_dim)
        self.out_dim = 2 * same_dim(self)

    def forward(self, features: Features) -> Tensor:
        audio, visual = features
        return torch.cat((audio.sigmoid() * visual, visual.sigmoid() * audio), dim=1)
