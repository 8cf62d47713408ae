"""MinSim and MaxSim: push the two modalities' embeddings apart, or together."""

from collections.abc import Sequence
from typing import Literal, final

from torch import Generator, Tensor
from torch.nn import functional as F

from avrobust.attacks.gradients import Objective
from avrobust.attacks.losses import Compared, WithCosine, logits_and_cosine
from avrobust.defenses.base import Defense, StepOutput
from avrobust.errors import UserError
from avrobust.models.classifier import AVClassifier
from avrobust.ranges import NonNegativeFloat
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
        cosine: whose cosine it is, in training and in the adaptive attacker's objective. It differs
            with a feature memory alone: "restored" embeddings are those that the memory returns, as
            in the released code; "raw" ones are those that the encoders return.
        match_epochs: train a second stage from the model of the first.
    """

    def __init__(
        self,
        goal: Literal["min", "max"],
        weight: NonNegativeFloat = 1.0,
        attack_weight: NonNegativeFloat = 1.0,
        cosine: Compared = "restored",
        match_epochs: bool = False,
    ) -> None:
        super().__init__(match_epochs=match_epochs)
        self.goal, self.weight, self.attack_weight = goal, weight, attack_weight
        self.cosine: Compared = cosine

    def train(
        self, model: AVClassifier, clip: Clip, label: Tensor, generators: Sequence[Generator]
    ) -> StepOutput:
        logits, similarity = logits_and_cosine(model, clip, self.cosine)
        sign = 1 if self.goal == "min" else -1
        loss = F.cross_entropy(logits, label) + sign * self.weight * similarity.mean()
        return StepOutput(loss, logits)

    def paper_objective(self, model: AVClassifier) -> dict[str, Objective]:
        return {"plus_cosine": WithCosine(self.attack_weight, self.cosine)}

    def objectives(self, model: AVClassifier) -> dict[str, Objective]:
        """Cross-entropy alone, with the cosine added (the paper's), and with it subtracted."""
        minus_cosine = WithCosine(-self.attack_weight, self.cosine)
        return {**super().objectives(model), "minus_cosine": minus_cosine}

    def validate(self, model: AVClassifier) -> None:
        fusion = model.fusion
        if len(fusion.uses) < 2 or fusion.audio_dim != fusion.visual_dim:
            raise UserError(
                f"defense {self.goal}sim compares the embeddings of both modalities, "
                "which have to be of one size; "
                f"fusion {type(fusion).__name__} uses {' and '.join(fusion.uses)} "
                f"(sizes {fusion.audio_dim} and {fusion.visual_dim})"
            )
