"""The unimodal audio classifier, as a fusion that ignores the other modality."""

from typing import ClassVar, final

from torch import Tensor

from avrobust.models.fusion.base import Fusion
from avrobust.ranges import PositiveInt
from avrobust.types import Features, Modality


@final
class AudioOnly(Fusion):
    """f_a. Tian & Xu 2021, Table 1, column "unimodal A"; the other encoder is not even built."""

    uses: ClassVar[tuple[Modality, ...]] = ("audio",)

    def __init__(self, audio_dim: PositiveInt, visual_dim: PositiveInt) -> None:
        super().__init__(audio_dim, visual_dim)
        self.out_dim = audio_dim

    def forward(self, features: Features) -> Tensor:
        return features.audio
