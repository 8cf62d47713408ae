"""The fast gradient sign method."""

from collections.abc import Sequence
from typing import final

from torch import Generator

from avrobust.attacks.base import Attack, Loss, gradient, sign_step
from avrobust.attacks.threat import Threat
from avrobust.types import Clip


@final
class FGSM(Attack):
    """x + eps * sign(gradient), one step. Goodfellow et al. 2015 (arXiv 1412.6572)."""

    def perturb(self, loss: Loss, clip: Clip, threat: Threat, generators: Sequence[Generator] | None) -> Clip:
        return sign_step(clip, gradient(loss, clip, threat), 1.0, clip, threat)
