"""An iterative attack whose steps become smaller."""

from typing import final

from avrobust.attacks.base import Attack
from avrobust.attacks.problem import Problem
from avrobust.types import Clip


@final
class Halving(Attack):
    """Iterated FGSM with steps of eps, eps / 2, eps / 4, ..., projected on the budget.

    Args:
        steps: How many.

    Raises:
        ValueError: `steps` is less than 1.
    """

    aims = True  # maximizes the given loss and nothing else, so that it can have a target class
    begins_clean = True  # its first gradient is that of the clean clips

    def __init__(self, steps: int = 4) -> None:
        if steps < 1:
            raise ValueError(f"steps must be at least 1, not {steps}")
        self.steps = steps

    def perturb(self, problem: Problem) -> Clip:
        clip = problem.clip
        for step in range(self.steps):
            gradient = problem.answer(clip).gradient
            clip = problem.step(clip, gradient, 0.5**step)
        return clip
