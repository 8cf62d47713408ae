"""The momentum iterative method."""

from typing import Literal, final

import torch
from torch import Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.gradients import LossGradient
from avrobust.attacks.problem import Problem
from avrobust.attacks.restarts import OnIterate, Restarts
from avrobust.ranges import NonNegativeFloat, PositiveInt, Step
from avrobust.threats import each
from avrobust.types import Clip

Normalizer = Literal["modality", "joint"]


@final
class MIM(Attack):
    """PGD along g <- decay * g + gradient / |gradient|_1.

    Dong et al. 2018 (arXiv 1710.06081), Algorithm 1.

    Args:
        steps: number of gradient steps.
        step: size of one step as a fraction of eps.
        decay: weight of the accumulated gradient; 0 is PGD.
        normalizer: take the L1 norm of each modality's gradient on its own (as the released code
            does), or of both together. Always of one clip, never of the batch.
        random_start: start at a uniformly drawn point of the budget, not at the clean clip.
        restarts: number of random starts at most; a fooled clip gets no further start.
        best: return the best iterate and not the last one.

    Raises:
        ValueError: a number is out of range, or restarts is above 1 without random_start.
    """

    paper_name: str | None = "mim"
    supports_targeted = True

    def __init__(
        self,
        steps: PositiveInt = 10,
        step: Step = 0.125,
        decay: NonNegativeFloat = 1.0,
        normalizer: Normalizer = "modality",
        random_start: bool = False,
        restarts: PositiveInt = 1,
        best: bool = False,
    ) -> None:
        self.steps, self.step = steps, step
        self.decay, self.normalizer = decay, normalizer
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
        momentum = Clip(*map(torch.zeros_like, x))
        for step in range(self.steps):
            if step > 0:  # the start comes with its gradient
                result = problem.value_and_grad(x)
            if report:
                report(x, result)
            momentum = accumulate(momentum, self._normalize(result.gradient), self.decay)
            x = problem.step(x, momentum, self.step)
        return x

    def _normalize(self, gradient: Clip) -> Clip:
        if self.normalizer == "modality":
            return normalize_each(gradient)
        norm = l1_norm(gradient.audio) + l1_norm(gradient.visual)
        return Clip(divide(gradient.audio, norm), divide(gradient.visual, norm))


def accumulate(momentum: Clip, direction: Clip, decay: NonNegativeFloat) -> Clip:
    """Decay * momentum + direction."""
    return Clip(
        decay * momentum.audio + direction.audio, decay * momentum.visual + direction.visual
    )


def normalize_each(gradient: Clip) -> Clip:
    """Each modality's gradient divided by its own L1 norm, clip by clip."""
    audio, visual = gradient
    return Clip(divide(audio, l1_norm(audio)), divide(visual, l1_norm(visual)))


def l1_norm(x: Tensor) -> Tensor:
    """The L1 norm of each clip of x: (B, ...) -> (B,)."""
    return x.abs().flatten(1).sum(1)


def divide(x: Tensor, norm: Tensor) -> Tensor:
    """Each clip of x divided by its norm, (B,); a zero gradient stays zero."""
    return x / each(norm.where(norm > 0, 1.0), x)
