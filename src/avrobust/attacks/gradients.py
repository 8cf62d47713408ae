"""The attacker's loss, with the logits and the gradient of the same pass."""

from collections.abc import Callable, Collection
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from avrobust.attacks.cached_model import CachedModel
from avrobust.threats import Threat
from avrobust.types import MODALITIES, Classifier, Clip, Modality

# (model, clips, labels (B,)) -> the attacker's loss of each clip (B,), which the attack maximizes.
# Losses that lead to a class take that class, (B,), as a fourth argument.
Objective = Callable[..., Tensor]


class LossGradient(NamedTuple):
    """The attacker's loss, the logits and the gradient of one pass."""

    loss: Tensor  # (B,)
    logits: Tensor  # (B, C)
    gradient: Clip  # of the loss, per unit of the budget; zeros for an untouched modality


def cross_entropy(model: Classifier, clip: Clip, label: Tensor) -> Tensor:
    """The plain objective: cross-entropy of each clip against its true label, in nats, (B,)."""
    return F.cross_entropy(model(clip), label, reduction="none")


def value_and_grad(
    model: Classifier,
    objective: Objective,
    clip: Clip,
    label: Tensor,
    modalities: Collection[Modality],
    target: Tensor | None = None,
) -> LossGradient:
    """Loss, logits and gradient, the latter per unit of the input.

    Args:
        model: clips to logits (B, C).
        objective: the attacker's loss.
        clip: where the loss is differentiated.
        label: true classes, (B,) int64.
        modalities: with respect to which the loss is differentiated; the gradient of the other one
            is zero.
        target: wanted classes, (B,) int64, for objectives that lead to a class.

    Raises:
        ValueError: the model's output cannot be differentiated, or the loss is not of shape (B,).
    """
    leaves = Clip(
        clip.audio.detach().requires_grad_("audio" in modalities),
        clip.visual.detach().requires_grad_("visual" in modalities),
    )
    loss, logits = loss_and_logits(model, objective, leaves, label, target)
    if not loss.requires_grad:
        raise ValueError(
            "the model's output cannot be differentiated: a gradient attack would find nothing "
            "and overestimate robustness"
        )
    differentiated = [modality for modality in MODALITIES if modality in modalities]
    inputs = [getattr(leaves, modality) for modality in differentiated]
    gradients = torch.autograd.grad(loss.sum(), inputs, allow_unused=True, materialize_grads=True)
    by_modality = dict(zip(differentiated, gradients, strict=True))
    for modality in MODALITIES:
        if modality not in by_modality:
            by_modality[modality] = torch.zeros_like(getattr(clip, modality))
    return LossGradient(loss.detach(), logits, Clip(**by_modality))


def loss_and_logits(
    model: Classifier,
    objective: Objective,
    clip: Clip,
    label: Tensor,
    target: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Loss (B,) and logits (B, C), of one pass where the objective computes logits.

    Args:
        model: clips to logits (B, C).
        objective: the attacker's loss.
        clip: where the loss is computed.
        label: true classes, (B,) int64.
        target: wanted classes, (B,) int64, for objectives that lead to a class.

    Raises:
        ValueError: the loss is not of shape (B,).
    """
    recorder = model if isinstance(model, CachedModel) else CachedModel(model)
    recorder.logits = None  # so that logits of an earlier pass cannot be taken for this one's
    targets = () if target is None else (target,)
    loss = objective(recorder, clip, label, *targets)
    expected = (len(label),)
    if loss.shape != expected:
        shape = tuple(loss.shape)
        raise ValueError(
            f"the objective returned shape {shape}, expected one loss a clip: {expected}"
        )
    logits = recorder(clip).detach() if recorder.logits is None else recorder.logits
    return loss, logits


def in_budget_units(gradient: Clip, threat: Threat) -> Clip:
    """A gradient per unit of the input as one per unit of the budgets; zeros where there is none.

    Units matter where gradients are compared or added up across channels: the paper's visual eps is
    in ImageNet-normalized units, and so is then the gradient.
    """
    scaled = []
    for part, budget in zip(gradient, threat.budgets, strict=True):
        scaled.append(torch.zeros_like(part) if budget is None else part * budget.scale(part))
    return Clip(*scaled)


def wrong(logits: Tensor, label: Tensor) -> Tensor:
    """Whether a prediction is wrong: (B, C), (B,) -> (B,) bool.

    Logits that are not finite count as wrong, whatever their argmax is.
    """
    return (logits.argmax(1) != label) | ~logits.isfinite().all(1)
