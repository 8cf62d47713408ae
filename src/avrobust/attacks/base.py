"""What every attack is, and the two moves they are made of: the input gradient and the projected sign step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, final

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from avrobust.attacks.threat import Budget, Threat
from avrobust.model import AVClassifier, HeldModel, frozen
from avrobust.types import Classifier, Clip

Loss = Callable[[Clip], Tensor]  # clips to the attacker's loss of each, (B,)
Objective = Callable[[Any, Clip, Tensor], Tensor]  # model, clips, labels to the attacker's loss of each, (B,)


def cross_entropy(model: Classifier, clip: Clip, label: Tensor) -> Tensor:
    """The plain objective: cross-entropy of each clip against its true label, in nats, (B,)."""
    return F.cross_entropy(model(clip), label, reduction="none")


class Attack(ABC):
    """Perturbs clips so that a model errs, within a threat. Holds hyper-parameters alone; no state between calls."""

    bounded: ClassVar[bool] = True  # False: the outcome may leave the budget, and every table says so

    @final
    def __call__(
        self,
        model: Classifier,
        clip: Clip,
        label: Tensor,
        threat: Threat,
        *,
        generators: Sequence[Generator] | None = None,
        objective: Objective = cross_entropy,
    ) -> Clip:
        """Adversarial versions of `clip`.

        Each clip's result is its own: it does not depend on what else is in the batch. The model is attacked in eval
        mode and left as it was (mode, requires_grad, gradients). A modality without a budget comes back as it went in.

        Args:
            model: any callable from Clip to logits (B, C); an AVClassifier is attacked faster.
            clip: clean clips, valid under the threat's bounds.
            label: true classes, (B,) int64.
            threat: what may be moved and how far.
            generators: one a clip, for attacks that draw at random.
            objective: what the attacker maximises; a defence may declare an adaptive one.

        Raises:
            ValueError: the model's output cannot be differentiated, so that a gradient attack would say nothing.
        """
        threat = _reachable(model, threat)
        if not any(threat.budgets):
            return clip
        with frozen(model), torch.enable_grad():
            view = _hold(model, clip, threat)
            return self.perturb(lambda c: objective(view, c, label), clip, threat, generators)

    @abstractmethod
    def perturb(self, loss: Loss, clip: Clip, threat: Threat, generators: Sequence[Generator] | None) -> Clip:
        """The attack itself: clips near `clip` with a higher `loss`."""


def _reachable(model: Classifier, threat: Threat) -> Threat:
    """The threat without the modalities that a unimodal AVClassifier never looks at: no attack gets there."""
    if not isinstance(model, AVClassifier):
        return threat
    uses = model.fusion.uses
    return Threat(threat.audio if "audio" in uses else None, threat.visual if "visual" in uses else None)


def _hold(model: Classifier, clip: Clip, threat: Threat) -> Classifier:
    """The model with the untouched modality's embedding computed once, where its parts are known."""
    audio, visual = (budget is None for budget in threat.budgets)
    if isinstance(model, AVClassifier) and (audio or visual):
        return HeldModel(model, clip, (audio, visual))
    return model


def gradient(loss: Loss, clip: Clip, threat: Threat) -> Clip:
    """The gradient of each clip's loss, per unit of its budget; zeros for a modality that the threat leaves alone.

    Units matter where gradients are compared or added up across channels: the paper's visual eps is in
    ImageNet-normalised units, and so is then the gradient.
    """
    free = Clip(*(_leaf(x, b) for x, b in zip(clip, threat.budgets, strict=True)))
    inputs = [x for x in free if x.requires_grad]
    total = loss(free).sum()
    if not total.requires_grad:
        raise ValueError(
            "the model's output cannot be differentiated: a gradient attack would call it robust for nothing"
        )
    gradients = iter(torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True))
    pairs = zip(free, threat.budgets, strict=True)
    return Clip(*(torch.zeros_like(x) if b is None else next(gradients) * b.unit_like(x) for x, b in pairs))


def _leaf(x: Tensor, budget: Budget | None) -> Tensor:
    return x.detach().requires_grad_(budget is not None)


def sign_step(clip: Clip, direction: Clip, fraction: float, clean: Clip, threat: Threat) -> Clip:
    """Moves each attacked modality by `fraction` of its eps along sign(direction), then projects on the threat."""
    moved = Clip(*map(_move, clip, direction, [fraction] * 2, threat.budgets))
    return threat.project(moved, clean)


def _move(x: Tensor, direction: Tensor, fraction: float, budget: Budget | None) -> Tensor:
    if budget is None:
        return x
    return x + (fraction * budget.eps) * budget.unit_like(x) * direction.sign()
