"""No defense."""

from collections.abc import Callable, Sequence
from typing import final

from torch import Generator, Tensor
from torch.nn import functional as F

from avrobust.defenses.base import Defense, StepOutput
from avrobust.models.classifier import AVClassifier
from avrobust.models.fusion.base import Fusion
from avrobust.types import Clip


@final
class Undefended(Defense):
    """Cross-entropy alone.

    Args:
        fusion: takes the place of the config's; `audio_only` or `visual_only` makes the paper's
            unimodal "defenses", which an attack on the other modality does not reach. Tian & Xu
            2021, Table 3.
        match_epochs: train a second stage from the model of the first.
    """

    def __init__(
        self, fusion: Callable[..., Fusion] | None = None, match_epochs: bool = False
    ) -> None:
        super().__init__(match_epochs=match_epochs)
        self.fusion = fusion

    def train(
        self, model: AVClassifier, clip: Clip, label: Tensor, generators: Sequence[Generator]
    ) -> StepOutput:
        logits = model(clip)
        return StepOutput(F.cross_entropy(logits, label), logits)
