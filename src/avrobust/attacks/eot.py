"""Attacks on models that answer at random."""

from collections.abc import Iterable
from functools import partial
from typing import Any, final

import torch
from torch import Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.problem import Objective, Problem
from avrobust.errors import UserError
from avrobust.threats import Threat
from avrobust.types import Classifier, Clip


@final
class EoT(Attack):
    """Another attack on the mean of its objective over draws of the model: expectation over transformation.

    Athalye et al. 2018 (arXiv 1802.00420), section 4.2. Each gradient costs as many passes as
    draws. Whether an iterate fools is still judged by one draw of the model, as the evaluation
    does.

    Args:
        attack: one that maximizes whatever objective it is given (`aims`).
        draws: how often the model is asked for each gradient; on a model without randomness 1 says
            it all.

    Raises:
        ValueError: no draw.
        UserError: the attack maximizes a loss of its own.
    """

    def __init__(self, attack: Attack, draws: int = 16) -> None:
        if draws < 1:
            raise ValueError(f"draws must be at least 1, not {draws}")
        if not attack.aims:
            raise UserError(
                f"EoT: {type(attack).__name__} maximizes a loss of its own and averages nothing"
            )
        self.attack, self.draws, self.aims = attack, draws, True
        self.bounded, self.needs_gradient, self.norms = (
            attack.bounded,
            attack.needs_gradient,
            attack.norms,
        )

    def refuse(self, classes: int) -> None:
        self.attack.refuse(classes)

    def left_out(
        self, model: Classifier, classes: int, threats: Iterable[Threat] = ()
    ) -> list[str]:
        return self.attack.left_out(model, classes, threats)

    def perturb(self, problem: Problem) -> Clip:
        return self.attack.clips(problem.maximizing(partial(_mean, problem.objective, self.draws)))


def _mean(
    objective: Objective, draws: int, model: Any, clip: Clip, *label_and_target: Tensor
) -> Tensor:
    """The mean of an objective over draws of the model: (B,)."""
    return torch.stack([objective(model, clip, *label_and_target) for _ in range(draws)]).mean(0)
