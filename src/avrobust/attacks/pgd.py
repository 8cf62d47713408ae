"""Projected gradient descent."""

from typing import final

from avrobust.attacks.base import Attack
from avrobust.attacks.problem import Problem
from avrobust.attacks.search import Offer, Search, positive_steps
from avrobust.types import Clip


@final
class PGD(Attack):
    """`steps` times: x + step * eps * sign(gradient), projected. Madry et al. 2018 (arXiv 1706.06083).

    The defaults are Tian & Xu's: 10 steps of eps / 8 from the clean clip.

    Args:
        steps: how many gradient steps.
        step: size of one step as a fraction of eps.
        random_start: see `Search`, as for the others.
        restarts: how many random starts at most; a clip that one of them has fooled gets no other.
        best: hand back the worst iterate and not the last one.

    Raises:
        ValueError: steps or step is not positive, or restarts make no sense.
    """

    aims = True

    def __init__(
        self,
        steps: int = 10,
        step: float = 0.125,
        random_start: bool = False,
        restarts: int = 1,
        best: bool = False,
    ) -> None:
        self.steps, self.step = positive_steps(steps, step)
        self.search = Search(random_start, restarts, best)
        self.begins_clean = not random_start

    def perturb(self, problem: Problem) -> Clip:
        return self.search.run(problem, self._climb)

    def _climb(self, problem: Problem, x: Clip, offer: Offer | None) -> Clip:
        for _ in range(self.steps):
            answer = problem.answer(x)
            if offer:
                offer(x, answer)
            x = problem.step(x, answer.gradient, self.step)
        return x
