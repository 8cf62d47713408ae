"""A loss for looking at a model: it does not saturate, and its gradient is the logits' own."""

import torch
from torch import Tensor

from avrobust.attacks.gradients import Objective
from avrobust.types import Classifier, Clip


def largest_margin(model: Classifier, clip: Clip, label: Tensor) -> Tensor:
    """The best wrong logit minus the true one of each clip, (B,): above 0 if the clip fools.

    Carlini & Wagner 2017, equation 6. Cross-entropy of large logits is exactly 0 in float32, and
    so is its gradient; the difference of two logits is neither.
    """
    logits = model(clip)
    true, wrong_logits = _split(logits, label)
    return wrong_logits.amax(1) - true


def frozen_margin(logits: Tensor, label: Tensor) -> Objective:
    """The same for a runner-up that stays the same class wherever the loss is computed.

    A maximum over classes has kinks, which central differences would take for a wrong gradient.

    Args:
        logits: at the clean clips, (B, C); they choose the runner-up of each clip.
        label: true classes, (B,) int64.
    """
    runner_up = _split(logits, label)[1].argmax(1)

    def margin(model: Classifier, clip: Clip, label: Tensor) -> Tensor:
        found = model(clip)
        wrong_logit = found.gather(1, runner_up[:, None]).squeeze(1)
        return wrong_logit - found.gather(1, label[:, None]).squeeze(1)

    return margin


def _split(logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """The true logit of each clip, (B,), and all logits with -inf in its place, (B, C)."""
    true = logits.gather(1, label[:, None])
    return true.squeeze(1), logits.scatter(1, label[:, None], -torch.inf)
