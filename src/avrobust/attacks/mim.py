"""The momentum iterative method."""

from collections.abc import Sequence
from typing import Literal, final

import torch
from torch import Generator, Tensor

from avrobust.attacks.base import Attack, Loss, gradient, sign_step
from avrobust.attacks.pgd import positive_steps
from avrobust.attacks.threat import Threat
from avrobust.types import Clip

Normaliser = Literal["modality", "joint"]


@final
class MIM(Attack):
    """PGD along g <- decay * g + gradient / |gradient|_1. Dong et al. 2018 (arXiv 1710.06081), Algorithm 1.

    Args:
        steps: how many gradient steps.
        step: size of one step as a fraction of eps.
        decay: weight of the accumulated gradient; 0 is PGD.
        normaliser: take the L1 norm of each modality's gradient on its own (as the released code does), or of both
            together. Always of one clip, never of the batch.

    Raises:
        ValueError: steps or step is not positive.
    """

    def __init__(
        self, steps: int = 10, step: float = 0.125, decay: float = 1.0, normaliser: Normaliser = "modality"
    ) -> None:
        self.steps, self.step = positive_steps(steps, step)
        self.decay, self.normaliser = decay, normaliser

    def perturb(self, loss: Loss, clip: Clip, threat: Threat, generators: Sequence[Generator] | None) -> Clip:
        adversarial = clip
        momentum = Clip(*map(torch.zeros_like, clip))
        for _ in range(self.steps):
            direction = self._normalise(gradient(loss, adversarial, threat))
            momentum = Clip(*(self.decay * m + d for m, d in zip(momentum, direction, strict=True)))
            adversarial = sign_step(adversarial, momentum, self.step, clip, threat)
        return adversarial

    def _normalise(self, gradients: Clip) -> Clip:
        norms = [l1_norm(g) for g in gradients]
        if self.normaliser == "joint":
            norms = [norms[0] + norms[1]] * 2
        return Clip(*map(divide, gradients, norms))


def l1_norm(x: Tensor) -> Tensor:
    """The L1 norm of each clip of x: (B, ...) -> (B,)."""
    return x.abs().flatten(1).sum(1)


def divide(x: Tensor, norm: Tensor) -> Tensor:
    """Each clip of x by its norm, (B,); a zero gradient stays zero."""
    return x / norm.where(norm > 0, 1.0).view(-1, *[1] * (x.dim() - 1))
