"""The MIM of the paper's released code, with its arithmetic as it is: not bounded by eps."""

from typing import final

import torch
from torch import Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.mim import divide, l1_norm
from avrobust.attacks.problem import Problem
from avrobust.threats import Threat
from avrobust.types import IMAGENET_MEAN, IMAGENET_STD, Clip


@final
class MIMReleased(Attack):
    """The iterate is projected on the ball round *itself*, so nothing holds it near the clean clip.

    Audio drifts by up to steps * step * eps (1.25 eps). Frames are floored at 0 in
    ImageNet-normalized units: a pixel below its channel's mean rises by up to eps more at each
    step, whatever the gradient (11.25 eps in all). Kept to compare with the published MIM rows; not
    an L-infinity attack of size eps. One quirk is left out: the released code divides by the L1
    norm of the whole batch, here it is each clip's own, so that results do not depend on batch
    mates.
    """

    aims = True
    bounded = False
    norms = ("linf",)

    def __init__(self, steps: int = 10, step: float = 0.125, decay: float = 1.0) -> None:
        self.steps, self.step, self.decay = steps, step, decay

    def perturb(self, problem: Problem) -> Clip:
        x, threat = problem.clip, problem.threat
        momentum = Clip(*map(torch.zeros_like, x))
        for _ in range(self.steps):
            grads = problem.answer(x).gradient
            momentum = Clip(
                *(
                    self.decay * m + divide(g, l1_norm(g))
                    for m, g in zip(momentum, grads, strict=True)
                )
            )
            x = Clip(
                self._audio(x.audio, momentum.audio, threat),
                self._visual(x.visual, momentum.visual, threat),
            )
        return x

    def _audio(self, x: Tensor, momentum: Tensor, threat: Threat) -> Tensor:
        if threat.audio is None:
            return x
        moved = x + self.step * threat.audio.eps * momentum.sign()
        return _project_on_itself(moved, threat.audio.eps, floor=-1.0).clamp(-1.0, 1.0)

    def _visual(self, x: Tensor, momentum: Tensor, threat: Threat) -> Tensor:
        if threat.visual is None or threat.visual.eps == 0:
            return x
        mean, std = (
            x.new_tensor(IMAGENET_MEAN).view(3, 1, 1),
            x.new_tensor(IMAGENET_STD).view(3, 1, 1),
        )
        eps = (
            threat.visual.eps * threat.visual.unit_like(x) / std
        )  # in normalized units, whatever the threat's are
        moved = (x - mean) / std + self.step * eps * momentum.sign()
        return (_project_on_itself(moved, eps, floor=0.0) * std + mean).clamp(0.0, 1.0)


def _project_on_itself(x: Tensor, eps: Tensor | float, *, floor: float) -> Tensor:
    """max(x, max(x - eps, floor)) cut at x + eps: the identity wherever x - eps >= floor or x >= floor."""
    lower = (x - eps).clamp(min=floor)
    return torch.minimum(torch.maximum(x, lower), x + eps)
