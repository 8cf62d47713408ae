"""MinSim and MaxSim: push the two modalities' embeddings apart, or together."""

from collections.abc import Sequence
from typing import Literal, final

from torch import Generator, Tensor
from torch.nn import functional as F

from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.attacks.losses import WithCosine, cosine
from avrobust.defenses.base import Defense, StepOutput
from avrobust.errors import UserError
from avrobust.models.classifier import AVClassifier
from avrobust.types import Clip


@final
class Similarity(Defense):
    """Cross-entropy plus (MinSim) or minus (MaxSim) `weight` times the mean cosine of f_a and f_v.

    Tian & Xu 2021. The form of MaxSim is our reading of the paper, which writes out MinSim alone.
    The cosine is signed.

    Args:
        goal: "min" for MinSim, "max" for MaxSim.
        weight: of the cosine; 1 in the paper.
        attack_weight: of the cosine in the adaptive attacker's objective; 1 in the paper, 0.8 for
            Kinetics-Sounds.
        match_epochs: train a second stage from the model of the first.
    """

    paper_objective = "plus_cosine"

    def __init__(
        self,
        goal: Literal["min", "max"],
        weight: float = 1.0,
        attack_weight: float = 1.0,
        match_epochs: bool = False,
    ) -> None:
        super().__init__(match_epochs=match_epochs)
        self.goal, self.weight, self.attack_weight = goal, weight, attack_weight

    def train(
        self, model: AVClassifier, clip: Clip, label: Tensor, generators: Sequence[Generator]
    ) -> StepOutput:
        features = model.encode(clip)
        logits = model.classify(features)
        sign = 1 if self.goal == "min" else -1
        loss = F.cross_entropy(logits, label) + sign * self.weight * cosine(features).mean()
        return StepOutput(loss, logits)

    def objectives(self) -> dict[str, Objective]:
        """Cross-entropy alone, with the cosine added (the paper's), and with it subtracted."""
        return {
            "cross_entropy": cross_entropy,
            "plus_cosine": WithCosine(self.attack_weight),
            "minus_cosine": WithCosine(-self.attack_weight),
        }

    def validate(self, model: AVClassifier) -> None:
        fusion = model.fusion
        if len(fusion.uses) < 2 or fusion.audio_dim != fusion.visual_dim:
            raise UserError(
                f"defense {self.goal}sim compares the embeddings of both modalities, "
                "which have to be of one size; "
                f"fusion {type(fusion).__name__} uses {' and '.join(fusion.uses)} "
                f"(sizes {fusion.audio_dim} and {fusion.visual_dim})"
            )
