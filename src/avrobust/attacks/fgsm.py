"""The fast gradient sign method."""

from typing import final

from avrobust.attacks.base import Attack
from avrobust.attacks.problem import Problem
from avrobust.types import Clip


@final
class FGSM(Attack):
    """x + eps * sign(gradient), one step. Goodfellow et al. 2015 (arXiv 1412.6572)."""

    kind = "one_step"
    paper_name = "fgsm"
    supports_targeted = True
    starts_at_clean = True

    def perturb(self, problem: Problem) -> Clip:
        return problem.step(problem.clip, problem.clean_value_and_grad().gradient, 1.0)
