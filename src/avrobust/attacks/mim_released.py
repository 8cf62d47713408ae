"""The MIM of the paper's released code, with its arithmetic as it is: not bounded by eps."""

from typing import final

import torch
from torch import Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.mim import accumulate, normalize_each
from avrobust.attacks.problem import Problem
from avrobust.ranges import NonNegativeFloat, PositiveInt, Step
from avrobust.threats import Threat
from avrobust.types import IMAGENET_MEAN, IMAGENET_STD, Clip


@final
class MIMReleased(Attack):
    """MIM with each iterate projected on the ball around itself: nothing keeps it near the clip.

    Audio drifts by up to steps * step * eps (1.25 eps). Frames are floored at 0 in
    ImageNet-normalized units: a pixel below its channel's mean rises by up to eps more at each
    step, whatever the gradient (11.25 eps in all). It is kept to compare with the published MIM
    rows; it is not an L-infinity attack of size eps. One property of the released code is left out:
    it divides by the L1 norm of the whole batch; this attack divides by each clip's own norm, so
    that results do not depend on the batch.

    Args:
        steps: number of gradient steps.
        step: size of one step as a fraction of eps.
        decay: weight of the accumulated gradient.

    Raises:
        ValueError: a number is out of range.
    """

    paper_name = "mim"
    supports_targeted = True
    bounded = False
    norms = ("linf",)

    def __init__(
        self,
        steps: PositiveInt = 10,
        step: Step = 0.125,
        decay: NonNegativeFloat = 1.0,
    ) -> None:
        self.steps, self.step, self.decay = steps, step, decay

    def perturb(self, problem: Problem) -> Clip:
        x, threat = problem.clip, problem.threat
        momentum = Clip(*map(torch.zeros_like, x))
        for _ in range(self.steps):
            gradient = problem.value_and_grad(x).gradient
            momentum = accumulate(momentum, normalize_each(gradient), self.decay)
            x = Clip(
                self._move_audio(x.audio, momentum.audio, threat),
                self._move_visual(x.visual, momentum.visual, threat),
            )
        return x

    def _move_audio(self, x: Tensor, momentum: Tensor, threat: Threat) -> Tensor:
        if threat.audio is None:
            return x
        moved = x + self.step * threat.audio.eps * momentum.sign()
        return _project_on_itself(moved, threat.audio.eps, floor=-1.0).clamp(-1.0, 1.0)

    def _move_visual(self, x: Tensor, momentum: Tensor, threat: Threat) -> Tensor:
        if threat.visual is None or threat.visual.eps == 0:
            return x
        mean = x.new_tensor(IMAGENET_MEAN).view(3, 1, 1)
        std = x.new_tensor(IMAGENET_STD).view(3, 1, 1)
        # In normalized units, whatever the threat's units are.
        eps = threat.visual.eps * threat.visual.scale(x) / std
        moved = (x - mean) / std + self.step * eps * momentum.sign()
        return (_project_on_itself(moved, eps, floor=0.0) * std + mean).clamp(0.0, 1.0)


def _project_on_itself(x: Tensor, eps: Tensor | float, *, floor: float) -> Tensor:
    """max(x, max(x - eps, floor)), cut at x + eps: the identity where x >= floor."""
    lower = (x - eps).clamp(min=floor)
    return torch.minimum(torch.maximum(x, lower), x + eps)
