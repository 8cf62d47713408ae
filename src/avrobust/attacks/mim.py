"""The momentum iterative method."""

from typing import Literal, final

import torch
from torch import Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.problem import Problem
from avrobust.attacks.search import Offer, Search, positive_steps
from avrobust.threats import each
from avrobust.types import Clip

Normalizer = Literal["modality", "joint"]


@final
class MIM(Attack):
    """PGD along g <- decay * g + gradient / |gradient|_1. Dong et al. 2018 (arXiv 1710.06081), Algorithm 1.

    Args:
        steps: how many gradient steps.
        step: size of one step as a fraction of eps.
        decay: weight of the accumulated gradient; 0 is PGD.
        normalizer: take the L1 norm of each modality's gradient on its own (as the released code
            does), or of both together. Always of one clip, never of the batch.
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
        decay: float = 1.0,
        normalizer: Normalizer = "modality",
        random_start: bool = False,
        restarts: int = 1,
        best: bool = False,
    ) -> None:
        self.steps, self.step = positive_steps(steps, step)
        self.decay, self.normalizer = decay, normalizer
        self.search = Search(random_start, restarts, best)
        self.begins_clean = not random_start

    def perturb(self, problem: Problem) -> Clip:
        return self.search.run(problem, self._climb)

    def _climb(self, problem: Problem, x: Clip, offer: Offer | None) -> Clip:
        momentum = Clip(*map(torch.zeros_like, x))
        for _ in range(self.steps):
            answer = problem.answer(x)
            if offer:
                offer(x, answer)
            direction = self._normalize(answer.gradient)
            momentum = Clip(*(self.decay * m + d for m, d in zip(momentum, direction, strict=True)))
            x = problem.step(x, momentum, self.step)
        return x

    def _normalize(self, gradients: Clip) -> Clip:
        norms = [l1_norm(g) for g in gradients]
        if self.normalizer == "joint":
            norms = [norms[0] + norms[1]] * 2
        return Clip(*map(divide, gradients, norms))


def l1_norm(x: Tensor) -> Tensor:
    """The L1 norm of each clip of x: (B, ...) -> (B,)."""
    return x.abs().flatten(1).sum(1)


def divide(x: Tensor, norm: Tensor) -> Tensor:
    """Each clip of x by its norm, (B,); a zero gradient stays zero."""
    return x / each(norm.where(norm > 0, 1.0), x)
