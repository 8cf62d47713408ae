"""Projected gradient descent."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Generator, Tensor

from avrobust.attacks.base import Attack, Loss, gradient, sign_step
from avrobust.attacks.threat import Budget, Threat
from avrobust.types import Clip


@final
class PGD(Attack):
    """`steps` times: x + step * eps * sign(gradient), projected. Madry et al. 2018 (arXiv 1706.06083).

    The defaults are Tian & Xu's: 10 steps of eps / 8 from the clean clip.

    Args:
        steps: how many gradient steps.
        step: size of one step as a fraction of eps.
        random_start: begin at a uniformly drawn point of the budget; needs a generator for each clip.

    Raises:
        ValueError: steps or step is not positive.
    """

    def __init__(self, steps: int = 10, step: float = 0.125, random_start: bool = False) -> None:
        self.steps, self.step = positive_steps(steps, step)
        self.random_start = random_start

    def perturb(self, loss: Loss, clip: Clip, threat: Threat, generators: Sequence[Generator] | None) -> Clip:
        adversarial = start(clip, threat, generators) if self.random_start else clip
        for _ in range(self.steps):
            adversarial = sign_step(adversarial, gradient(loss, adversarial, threat), self.step, clip, threat)
        return adversarial


def positive_steps(steps: int, step: float) -> tuple[int, float]:
    """The two settings that iterative attacks share.

    Raises:
        ValueError: steps or step is not positive.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if not step > 0:
        raise ValueError(f"step must be a positive fraction of eps, not {step}")
    return steps, step


def start(clip: Clip, threat: Threat, generators: Sequence[Generator] | None) -> Clip:
    """A uniformly drawn point of each clip's budget, from that clip's own generator.

    Raises:
        ValueError: there is not one generator for each clip.
    """
    if generators is None or len(generators) != len(clip.audio):
        raise ValueError("a random start needs one generator for each clip")
    drawn = Clip(*(_uniform(x, b, generators) for x, b in zip(clip, threat.budgets, strict=True)))
    return threat.project(drawn, clip)


def _uniform(x: Tensor, budget: Budget | None, generators: Sequence[Generator]) -> Tensor:
    if budget is None:
        return x
    # Drawn on the CPU, clip by clip, so that the device and the batch's make-up change nothing.
    noise = torch.stack([torch.rand(x.shape[1:], generator=g, dtype=x.dtype) for g in generators]).to(x.device)
    return x + (2 * noise - 1) * budget.eps * budget.unit_like(x)
