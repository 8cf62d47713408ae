"""Prototype conformity loss: features are pulled to their class center and pushed from others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from avrobust.attacks.gradients import Objective
from avrobust.defenses.base import Defense, StepOutput
from avrobust.models.classifier import AVClassifier, embed
from avrobust.models.fusion.base import Fusion
from avrobust.ranges import NonNegativeFloat
from avrobust.types import Batch, Clip, Features


@final
class Centers(nn.Module):
    """Class centers for the features of one modality: one set that pulls, one that pushes away."""

    def __init__(self, classes: int, dim: int) -> None:
        super().__init__()
        self.pull = nn.Parameter(torch.zeros(classes, dim))
        self.push = nn.Parameter(torch.zeros(classes, dim))

    def forward(self, features: Tensor, label: Tensor) -> Tensor:
        """The conformity loss of each clip, (B, D), (B,) -> (B,). Mustafa et al. 2019, equation 3.

        |f - c_y| - mean over the other classes j of (|f - c_j| + |c_y - c_j|)
        """
        own = F.one_hot(label, len(self.pull)).bool()
        to_push = (features.unsqueeze(1) - self.push).norm(dim=2)  # (B, C)
        between = (self.push[label].unsqueeze(1) - self.push).norm(dim=2)
        others = (to_push + between).masked_fill(own, 0).sum(1) / max(1, len(self.pull) - 1)
        loss: Tensor = (features - self.pull[label]).norm(dim=1) - others
        return loss


@final
class Prototypes(Defense):
    """Cross-entropy + weight * the conformity loss of both encoders' features.

    Mustafa et al. 2019 (arXiv 1904.00887). The training starts from a trained model. The paper
    names two learning rates of centers, 0.1 and 1e-4; we read them as those of the centers that
    pull and of the centers that push, which are separate in the method's released code. The centers
    start as the class means of the model that the training starts from, learn without momentum and
    weight decay, and follow the recipe's milestones.

    Args:
        base: the defense whose trained model the training starts from; none in the paper.
        weight: of the conformity loss.
        lr_pull: learning rate of the centers that pull.
        lr_push: learning rate of the centers that push.
        attack_weight: of the conformity loss in the adaptive attacker's objective.
        match_epochs: train a second stage from the model of the first.
    """

    def __init__(
        self,
        base: Defense,
        weight: NonNegativeFloat = 0.1,
        lr_pull: NonNegativeFloat = 0.1,
        lr_push: NonNegativeFloat = 1e-4,
        attack_weight: NonNegativeFloat = 0.1,
        match_epochs: bool = False,
    ) -> None:
        super().__init__(match_epochs=match_epochs)
        self.base, self.weight, self.attack_weight = base, weight, attack_weight
        self.rates = {"pull": lr_pull, "push": lr_push}
        self.fusion = base.fusion

    def train(
        self, model: AVClassifier, clip: Clip, label: Tensor, generators: Sequence[Generator]
    ) -> StepOutput:
        features = model.encode(clip)
        logits = model.classify(features)
        penalty = conformity(model, features, label).mean()
        return StepOutput(F.cross_entropy(logits, label) + self.weight * penalty, logits)

    def objectives(self, model: AVClassifier) -> dict[str, Objective]:
        """Those of every defense, and cross-entropy plus the conformity loss.

        The latter leads away from the own center and towards others.
        """
        return {**super().objectives(model), "plus_conformity": WithConformity(self.attack_weight)}

    def validate(self, model: AVClassifier) -> None:
        self.base.validate(model)

    def extra_modules(self, fusion: Fusion, classes: int) -> dict[str, nn.Module]:
        dims = {"audio": fusion.audio_dim, "visual": fusion.visual_dim}
        return {f"centers_{modality}": Centers(classes, dims[modality]) for modality in fusion.uses}

    def param_groups(self, model: AVClassifier) -> list[dict[str, Any]]:
        groups = []
        for name, rate in self.rates.items():
            centers = [getattr(module, name) for module in model.extra_modules.values()]
            groups.append({"params": centers, "lr": rate, "momentum": 0, "weight_decay": 0})
        return groups

    def setup(self, model: AVClassifier, batches: Iterable[Batch]) -> None:
        """Puts every center at its class mean; a class without a clip at the mean of all."""
        features, label = embed(model, batches)
        for modality in model.fusion.uses:
            centers = model.extra_modules[f"centers_{modality}"]
            assert isinstance(centers, Centers)
            means = _class_means(getattr(features, modality), label, len(centers.pull))
            with torch.no_grad():
                centers.pull.copy_(means)
                centers.push.copy_(means)


def conformity(model: Any, features: Features, label: Tensor) -> Tensor:
    """The conformity loss of each clip, summed over modalities: (B,)."""
    pooled = features.pooled()
    losses = []
    for name, centers in model.extra_modules.items():
        modality = name.removeprefix("centers_")
        losses.append(centers(getattr(pooled, modality), label))
    return torch.stack(losses).sum(0)


@final
@dataclass(frozen=True)
class WithConformity:
    """The attacker's loss of each clip, cross-entropy + weight * conformity loss: (B,)."""

    weight: NonNegativeFloat

    def __call__(self, model: Any, clip: Clip, label: Tensor) -> Tensor:
        features = model.encode(clip)
        loss = F.cross_entropy(model.classify(features), label, reduction="none")
        return loss + self.weight * conformity(model, features, label)


def _class_means(features: Tensor, label: Tensor, classes: int) -> Tensor:
    """(N, D), (N,) -> (classes, D)."""
    means = features.mean(0).repeat(classes, 1)
    for c in set(label.tolist()):
        means[c] = features[label == c].mean(0)
    return means
