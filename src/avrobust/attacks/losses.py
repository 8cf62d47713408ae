"""Losses that attackers maximize besides cross-entropy: of logits and of embeddings."""

from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor
from torch.nn import functional as F

from avrobust.attacks.cached_model import has_embeddings
from avrobust.types import Classifier, Clip, Features

TINY = 1e-12

# Embeddings as the fusion gets them, or as the encoders return them. They differ only in a model
# whose defense restores embeddings.
Compared = Literal["restored", "raw"]


def margin(logits: Tensor, label: Tensor) -> Tensor:
    """The highest other logit minus the true one, (B,): positive where the model errs."""
    own = label.unsqueeze(1)
    others = logits.scatter(1, own, -torch.inf).amax(1)
    return others - logits.gather(1, own).squeeze(1)


def likeliest_wrong(logits: Tensor, label: Tensor, count: int) -> Tensor:
    """The likeliest classes but the label, from the likeliest on: (B, at most `count`) int64."""
    without_label = logits.scatter(1, label.unsqueeze(1), -torch.inf)
    ranked = without_label.argsort(1, descending=True)  # the label is last
    return ranked[:, : min(count, logits.shape[1] - 1)]


def dlr(model: Any, clip: Clip, label: Tensor) -> Tensor:
    """Difference of logits ratio, -(z_y - max other) / (z_1st - z_3rd): (B,).

    Croce & Hein 2020, equation 6. Neither a shift nor a scale of the logits changes it, so that
    large logits do not protect a model.
    """
    logits: Tensor = model(clip)
    ranked = logits.sort(1).values
    return margin(logits, label) / (ranked[:, -1] - ranked[:, -3] + TINY)


def dlr_targeted(model: Any, clip: Clip, label: Tensor, target: Tensor) -> Tensor:
    """-(z_y - z_t) / (z_1st - (z_3rd + z_4th) / 2), which leads to class t: (B,).

    Croce & Hein 2020, equation 7.
    """
    logits: Tensor = model(clip)
    ranked = logits.sort(1).values
    own = logits.gather(1, label.unsqueeze(1)).squeeze(1)
    wanted = logits.gather(1, target.unsqueeze(1)).squeeze(1)
    return (wanted - own) / (ranked[:, -1] - 0.5 * (ranked[:, -3] + ranked[:, -4]) + TINY)


def logit_difference(model: Any, clip: Clip, label: Tensor, target: Tensor) -> Tensor:
    """z_t - z_y, (B,): 0 where the model holds class t and the label equally likely."""
    logits: Tensor = model(clip)
    pair = logits.gather(1, torch.stack([target, label], 1))
    return pair[:, 0] - pair[:, 1]


def log_likelihood(model: Any, clip: Clip, label: Tensor, target: Tensor) -> Tensor:
    """The logarithm of the probability of class t: (B,), at most 0."""
    return -F.cross_entropy(model(clip), target, reduction="none")


def comparable_embeddings(model: Classifier) -> bool:
    """Whether a model embeds both modalities, with one size."""
    if not has_embeddings(model):
        return False
    fusion = getattr(model, "fusion")  # noqa: B009 -- a Classifier is any callable
    return len(fusion.uses) == 2 and fusion.audio_dim == fusion.visual_dim


def cosine(features: Features) -> Tensor:
    """f_a . f_v / max(|f_a| |f_v|, eta) of each clip: (B,) in [-1, 1].

    A visual map is compared by its mean.
    """
    audio, visual = features.pooled()
    return F.cosine_similarity(audio, visual)


@final
@dataclass(frozen=True)
class WithCosine:
    """The attacker's loss of each clip, cross-entropy + weight * cosine: (B,). Tian & Xu 2021.

    Attributes:
        weight: of the cosine.
        compared: which embeddings are compared. In the released code a model with a feature memory
            returns its restored embeddings, and the attack compares those.
    """

    weight: float
    compared: Compared = "restored"

    def __call__(self, model: Any, clip: Clip, label: Tensor) -> Tensor:
        logits, similarity = logits_and_cosine(model, clip, self.compared)
        return F.cross_entropy(logits, label, reduction="none") + self.weight * similarity


def logits_and_cosine(model: Any, clip: Clip, compared: Compared) -> tuple[Tensor, Tensor]:
    """The logits, (B, C), and the cosine of the two embeddings, (B,), of one pass.

    Args:
        model: a model with embeddings.
        clip: what it classifies.
        compared: which embeddings are compared.
    """
    features = model.encode(clip)
    restored = model.restore_all(features)
    return model.fuse(restored), cosine(restored if compared == "restored" else features)
