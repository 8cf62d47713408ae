"""An iterative attack whose steps become smaller."""

from typing import final

from avrobust.attacks.base import Attack
from avrobust.attacks.problem import Problem
from avrobust.ranges import PositiveInt
from avrobust.types import Clip


@final
class Halving(Attack):
    """Iterated FGSM with steps of eps, eps / 2, eps / 4, ..., projected on the budget.

    Args:
        steps: How many.

    Raises:
        ValueError: `steps` is out of range.
    """

    kind = "iterative"
    supports_targeted = True  # maximizes the given loss and nothing else
    starts_at_clean = True  # its first gradient is that of the clean clips

    def __init__(self, steps: PositiveInt = 4) -> None:
        self.steps = steps

    def perturb(self, problem: Problem) -> Clip:
        gradient = problem.clean_value_and_grad().gradient
        clip = problem.step(problem.clip, gradient, 1.0)
        for step in range(1, self.steps):
            gradient = problem.value_and_grad(clip).gradient
            clip = problem.step(clip, gradient, 0.5**step)
        return clip
