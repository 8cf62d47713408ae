"""What every fusion is: a module from both embeddings to the one feature that is classified."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from avrobust.errors import UserError
from avrobust.ranges import PositiveInt
from avrobust.types import MODALITIES, Features, Modality
from avrobust.utils.arguments import CheckedArguments


class Fusion(nn.Module, CheckedArguments, ABC):
    """Features of sizes (B, audio_dim) and (B, visual_dim) to (B, out_dim)."""

    # A modality that is not used is not encoded either.
    uses: ClassVar[tuple[Modality, ...]] = MODALITIES
    out_dim: int

    def __init__(self, audio_dim: PositiveInt, visual_dim: PositiveInt) -> None:
        super().__init__()
        self.audio_dim, self.visual_dim = audio_dim, visual_dim

    @abstractmethod
    def forward(self, features: Features) -> Tensor:
        """(B, audio_dim), (B, visual_dim) -> (B, out_dim)."""


class MapFusion(Fusion, ABC):
    """A fusion that gets the visual map (B, T, visual_dim, h, w) in place of its mean.

    Its response map tells where it looks.
    """

    @abstractmethod
    def response(self, features: Features) -> Tensor:
        """Larger where the source of the sound is likely to be.

        (B, audio_dim), (B, T, visual_dim, h, w) -> (B, T, h, w).
        """


def same_dim(fusion: Fusion) -> int:
    """The embeddings' common size.

    Raises:
        UserError: the two sizes differ, and this fusion adds or gates them element by element.
    """
    if fusion.audio_dim != fusion.visual_dim:
        name = type(fusion).__name__
        raise UserError(
            f"fusion {name} needs embeddings of one size, but audio has {fusion.audio_dim} "
            f"and visual {fusion.visual_dim}: "
            "choose encoders of equal dim, or fusion=concat or film"
        )
    return fusion.audio_dim
