"""Projected gradient descent."""

from typing import final

from avrobust.attacks.base import Attack
from avrobust.attacks.gradients import LossGradient
from avrobust.attacks.problem import Problem
from avrobust.attacks.restarts import OnIterate, Restarts
from avrobust.ranges import PositiveInt, Step
from avrobust.types import Clip


@final
class PGD(Attack):
    """`steps` times: x + step * eps * sign(gradient), projected.

    Madry et al. 2018 (arXiv 1706.06083). The defaults are Tian & Xu's: 10 steps of eps / 8 from the
    clean clip.

    Args:
        steps: number of gradient steps.
        step: size of one step as a fraction of eps.
        random_start: start at a uniformly drawn point of the budget, not at the clean clip.
        restarts: number of random starts at most; a fooled clip gets no further start.
        best: return the best iterate and not the last one.

    Raises:
        ValueError: a number is out of range, or restarts is above 1 without random_start.
    """

    paper_name: str | None = "pgd"
    supports_targeted = True

    def __init__(
        self,
        steps: PositiveInt = 10,
        step: Step = 0.125,
        random_start: bool = False,
        restarts: PositiveInt = 1,
        best: bool = False,
    ) -> None:
        self.steps, self.step = steps, step
        self.restarts = Restarts(random_start, restarts, best)
        self.starts_at_clean = not random_start
        if random_start:
            self.paper_name = None  # the paper starts at the clean clip
        if restarts > 1:
            self.kind = "strong"

    def perturb(self, problem: Problem) -> Clip:
        return self.restarts.run(problem, self._loop)

    def _loop(
        self, problem: Problem, x: Clip, result: LossGradient, report: OnIterate | None
    ) -> Clip:
        for step in range(self.steps):
            if step > 0:  # the start comes with its gradient
                result = problem.value_and_grad(x)
            if report:
                report(x, result)
            x = problem.step(x, result.gradient, self.step)
        return x
