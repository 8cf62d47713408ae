"""What attackers maximize besides cross-entropy: differences of logits, and the similarity of the embeddings."""

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional as F

from avrobust.models.classifier import AVClassifier, HeldModel
from avrobust.types import Classifier, Clip, Features

TINY = 1e-12


def margin(logits: Tensor, label: Tensor) -> Tensor:
    """The highest other logit minus the true one, (B,): positive where the model errs."""
    own = label.unsqueeze(1)
    others = logits.scatter(1, own, -torch.inf).amax(1)
    return others - logits.gather(1, own).squeeze(1)


def dlr(model: Any, clip: Clip, label: Tensor) -> Tensor:
    """Difference of logits ratio, -(z_y - max other) / (z_1st - z_3rd): (B,). Croce & Hein 2020, eq. 6.

    Neither a shift nor a scale of the logits changes it, so that a model gains nothing by answering
    in large numbers.
    """
    logits: Tensor = model(clip)
    ranked = logits.sort(1).values
    return margin(logits, label) / (ranked[:, -1] - ranked[:, -3] + TINY)


def dlr_targeted(model: Any, clip: Clip, label: Tensor, target: Tensor) -> Tensor:
    """-(z_y - z_t) / (z_1st - (z_3rd + z_4th) / 2) towards class t: (B,). Croce & Hein 2020, eq. 7."""
    logits: Tensor = model(clip)
    ranked = logits.sort(1).values
    own, wanted = (logits.gather(1, i.unsqueeze(1)).squeeze(1) for i in (label, target))
    return (wanted - own) / (ranked[:, -1] - 0.5 * (ranked[:, -3] + ranked[:, -4]) + TINY)


def log_likelihood(model: Any, clip: Clip, label: Tensor, target: Tensor) -> Tensor:
    """The logarithm of the probability of class t, which leads to it: (B,), at most 0."""
    return -F.cross_entropy(model(clip), target, reduction="none")


def comparable_embeddings(model: Classifier) -> bool:
    """Whether a model has embeddings of both modalities, of one size."""
    if not isinstance(model, AVClassifier | HeldModel):
        return False
    return len(model.fusion.uses) == 2 and model.fusion.audio_dim == model.fusion.visual_dim


def cosine(features: Features) -> Tensor:
    """f_a . f_v / max(|f_a| |f_v|, eta) of each clip: (B,) in [-1, 1]. Of a visual map the mean is compared."""
    audio, visual = features.pooled()
    return F.cosine_similarity(audio, visual)


@final
@dataclass(frozen=True)
class WithCosine:
    """The attacker's loss of each clip, cross-entropy + weight * cosine: (B,). Tian & Xu 2021."""

    weight: float

    def __call__(self, model: Any, clip: Clip, label: Tensor) -> Tensor:
        features = model.encode(clip)
        return F.cross_entropy(
            model.classify(features), label, reduction="none"
        ) + self.weight * cosine(features)
