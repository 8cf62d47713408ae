"""Adversarial training: the training clips are attacked at every step."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from avrobust.attacks.base import Attack
from avrobust.attacks.pgd import PGD
from avrobust.defenses.base import Defense, RobustValidation, StepOutput
from avrobust.models.classifier import AVClassifier, eval_mode
from avrobust.ranges import NonNegativeFloat, NonNegativeInt
from avrobust.threats import Threat
from avrobust.types import Clip


@final
class Adversarial(Defense):
    """Cross-entropy of adversarial clips.

    Madry et al. 2018; with one randomly started step, Wong et al. 2020.

    Args:
        attack: perturbs the clips at every step, with the model in eval mode.
        threat: a suite of threats by condition, as `evaluate` takes it.
        condition: the name of the threat in it that the training uses.
        robust_validation: number of validation clips whose accuracy under PGD-10, within the same
            threat, chooses the best epoch; 0 if the accuracy on all clean ones does.
        match_epochs: train a second stage from the model of the first.

    Raises:
        ValueError: the suite has no such condition, or a number is out of range.
    """

    def __init__(
        self,
        attack: Attack,
        threat: Mapping[str, Threat],
        condition: str = "audiovisual",
        match_epochs: bool = False,
        robust_validation: NonNegativeInt = 52,
    ) -> None:
        super().__init__(match_epochs=match_epochs)
        self.attack, self.threat = attack, _threat_of(threat, condition)
        self.robust_validation = _robust_validation(self.threat, robust_validation)

    def train(
        self, model: AVClassifier, clip: Clip, label: Tensor, generators: Sequence[Generator]
    ) -> StepOutput:
        adversarial = self.attack(model, clip, label, self.threat, generators=generators)
        logits = model(adversarial)
        return StepOutput(F.cross_entropy(logits, label), logits)


@final
class Trades(Defense):
    """Cross-entropy of clean clips + beta * KL(clean prediction || adversarial prediction).

    TRADES, Zhang et al. 2019. As in the authors' code, the adversarial clips maximize the
    divergence between two predictions in eval mode, and both terms of the training loss are of
    predictions in training mode. The attack needs a random start, because the gradient of the
    divergence is zero at the clean clip.

    Args:
        attack: perturbs the clips at every step, with the model in eval mode.
        threat: a suite of threats by condition, as `evaluate` takes it.
        condition: the name of the threat in it that the training uses.
        robust_validation: number of validation clips whose accuracy under PGD-10, within the same
            threat, chooses the best epoch; 0 if the accuracy on all clean ones does.
        beta: weight of the divergence.
        match_epochs: train a second stage from the model of the first.

    Raises:
        ValueError: the suite has no such condition, or a number is out of range.
    """

    def __init__(
        self,
        attack: Attack,
        threat: Mapping[str, Threat],
        condition: str = "audiovisual",
        beta: NonNegativeFloat = 6.0,
        match_epochs: bool = False,
        robust_validation: NonNegativeInt = 52,
    ) -> None:
        super().__init__(match_epochs=match_epochs)
        self.attack, self.threat, self.beta = attack, _threat_of(threat, condition), beta
        self.robust_validation = _robust_validation(self.threat, robust_validation)

    def train(
        self, model: AVClassifier, clip: Clip, label: Tensor, generators: Sequence[Generator]
    ) -> StepOutput:
        # The attack sees the model in eval mode. A target in training mode would differ from the
        # prediction at the clean clip itself, by what BatchNorm's batch statistics change.
        with eval_mode(model), torch.no_grad():
            target = model(clip).softmax(1)

        def objective(attacked: Any, near: Clip, _: Tensor) -> Tensor:
            if len(near.audio) != len(target):
                raise ValueError(
                    "TRADES needs an attack that keeps the whole batch together, such as pgd"
                )
            return divergence(attacked(near), target)

        adversarial = self.attack(
            model, clip, label, self.threat, generators=generators, objective=objective
        )
        logits = model(clip)
        robust = divergence(model(adversarial), logits.softmax(1)).mean()
        return StepOutput(F.cross_entropy(logits, label) + self.beta * robust, logits)


def divergence(logits: Tensor, target: Tensor) -> Tensor:
    """KL(target || softmax(logits)) of each clip, in nats: (B,)."""
    return F.kl_div(logits.log_softmax(1), target, reduction="none").sum(1)


def _threat_of(suite: Mapping[str, Threat], condition: str) -> Threat:
    """The threat of one condition.

    Raises:
        ValueError: the suite has no such condition.
    """
    if condition not in suite:
        raise ValueError(f"condition={condition}: choices: {', '.join(suite)}")
    return suite[condition]


def _robust_validation(threat: Threat, clips: int) -> RobustValidation | None:
    """PGD-10 with steps of a quarter of eps, on so many validation clips; None for 0 clips.

    Adversarially trained models overfit: their robust accuracy falls while the clean one still
    rises. Rice et al. 2020 (arXiv 2002.11569) stop by this validation accuracy.
    """
    return RobustValidation(PGD(10, 0.25), threat, clips) if clips else None
