"""Attacks on temporal invariance, on the alignment of the modalities, and on both."""

from functools import partial
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional as F

from avrobust.attacks.base import Attack
from avrobust.attacks.best import not_weaker_than_clean
from avrobust.attacks.cached_model import has_embeddings
from avrobust.attacks.losses import comparable_embeddings, cosine
from avrobust.attacks.problem import Problem
from avrobust.attacks.restarts import positive_steps
from avrobust.types import Classifier, Clip, Features

NO_COSINE = "the similarity of the embeddings, which needs two embeddings of one size"
NO_EMBEDDINGS = "temporal invariance and misalignment, which need a model with embeddings"


@final
class TMA(Attack):
    """PGD on cross-entropy - temporal * V - misalignment * cosine(f_a, f_v).

    Zhang et al. 2025 (arXiv 2502.11858). V is the variance of the embeddings, scaled to length 1,
    over circular shifts of the clip in time, so that the perturbation does not depend on where the
    clip begins. The sign of the cosine is the opposite of Tian & Xu's adaptive term. The paper's
    weights and transforms are not known to us; these are to be swept. A defense's objective is not
    used.

    Args:
        steps: number of gradient steps.
        step: size of one step as a fraction of eps.
        temporal: weight of V; alone it is the Temporal Invariance Attack.
        misalignment: weight of the cosine; alone it is the Modality Misalignment Attack.
        shifts: number of evenly spaced shifts that V is taken over.

    Raises:
        ValueError: steps or step is not positive, or shifts is below 2.
    """

    def __init__(
        self,
        steps: int = 10,
        step: float = 0.125,
        temporal: float = 1.0,
        misalignment: float = 1.0,
        shifts: int = 4,
    ) -> None:
        self.steps, self.step = positive_steps(steps, step)
        if shifts < 2:
            raise ValueError(f"shifts must be at least 2, not {shifts}")
        self.temporal, self.misalignment, self.shifts = temporal, misalignment, shifts

    def perturb(self, problem: Problem) -> Clip:
        attacked = problem
        if has_embeddings(problem.model):
            weight = self.misalignment if comparable_embeddings(problem.model) else 0.0
            attacked = problem.with_loss(partial(self._loss, misalignment=weight))
        x = problem.clip
        for _ in range(self.steps):
            x = attacked.step(x, attacked.value_and_grad(x).gradient, self.step)
        return not_weaker_than_clean(problem, x)

    def unsupported(self, model: Classifier, classes: int, threats: object = ()) -> list[str]:
        if not has_embeddings(model):
            return [NO_EMBEDDINGS]
        return [NO_COSINE] if self.misalignment and not comparable_embeddings(model) else []

    def _loss(self, model: Any, clip: Clip, label: Tensor, misalignment: float) -> Tensor:
        features = model.encode(clip)
        loss = F.cross_entropy(model.classify(features), label, reduction="none")
        if self.temporal:
            views = [model.encode(shifted(clip, i / self.shifts)) for i in range(1, self.shifts)]
            loss = loss - self.temporal * _variance([features, *views])
        return loss - misalignment * cosine(features) if misalignment else loss


def shifted(clip: Clip, share: float) -> Clip:
    """The clips rolled in time by a share of their length; a single frame stays."""
    samples, frames = clip.audio.shape[-1], clip.visual.shape[1]
    return Clip(
        clip.audio.roll(round(share * samples), -1), clip.visual.roll(round(share * frames), 1)
    )


def _variance(views: list[Features]) -> Tensor:
    """The variance of embeddings of length 1 over views, summed over both modalities: (B,)."""
    points = torch.stack(
        [torch.cat([F.normalize(x, dim=1) for x in view.pooled()], 1) for view in views]
    )  # (views, B, 2 D)
    return points.var(0, unbiased=False).sum(1)
