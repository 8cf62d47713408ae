"""Attacks on models with random outputs."""

from collections.abc import Iterable
from functools import partial
from typing import Any, final

import torch
from torch import Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.gradients import Objective
from avrobust.attacks.problem import Problem
from avrobust.errors import UserError
from avrobust.ranges import PositiveInt
from avrobust.threats import Threat
from avrobust.types import Classifier, Clip


@final
class EoT(Attack):
    """Another attack on the mean of its objective over draws of the model.

    Expectation over transformation: Athalye et al. 2018 (arXiv 1802.00420), section 4.2. Each
    gradient costs as many passes as draws. Whether an iterate fools the model is still decided by
    one draw, as in the evaluation.

    Args:
        attack: one that maximizes the objective that it is called with (`supports_targeted`).
        draws: number of draws for each gradient; 1 suffices for a model without randomness.

    Raises:
        ValueError: draws is out of range.
        UserError: the attack maximizes a loss of its own.
    """

    def __init__(self, attack: Attack, draws: PositiveInt = 16) -> None:
        if not attack.supports_targeted:
            raise UserError(
                f"EoT: {type(attack).__name__} maximizes a loss of its own and averages nothing"
            )
        self.attack, self.draws, self.supports_targeted = attack, draws, True
        self.kind, self.bounded, self.norms = attack.kind, attack.bounded, attack.norms
        self.needs_gradient = attack.needs_gradient

    def validate(self, classes: int) -> None:
        self.attack.validate(classes)

    def unsupported(
        self,
        model: Classifier,
        classes: int,
        threats: Iterable[Threat] = (),
        clip: Clip | None = None,
    ) -> list[str]:
        return self.attack.unsupported(model, classes, threats, clip)

    def perturb(self, problem: Problem) -> Clip:
        mean_objective = partial(_mean, problem.objective, self.draws)
        return self.attack.clips(problem.with_objective(mean_objective))


def _mean(
    objective: Objective, draws: int, model: Any, clip: Clip, *label_and_target: Tensor
) -> Tensor:
    """The mean of an objective over draws of the model: (B,)."""
    return torch.stack([objective(model, clip, *label_and_target) for _ in range(draws)]).mean(0)
