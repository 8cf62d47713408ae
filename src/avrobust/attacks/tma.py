"""Attacks on what joins two streams in time: temporal invariance, modality misalignment, and both."""

from functools import partial
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional as F

from avrobust.attacks.base import Attack
from avrobust.attacks.losses import comparable_embeddings, cosine
from avrobust.attacks.problem import Problem
from avrobust.attacks.search import not_better_off, positive_steps
from avrobust.models.classifier import AVClassifier, HeldModel
from avrobust.types import Classifier, Clip, Features

MISALIGNED = "the similarity of the embeddings, of which the model needs two of one size"


@final
class TMA(Attack):
    """PGD on cross-entropy - temporal * V - misalignment * cosine(f_a, f_v). Zhang et al. 2025 (arXiv 2502.11858).

    V is the variance of the embeddings, scaled to length 1, over circular shifts of the clip in
    time: what is found then does not depend on where the clip begins. The sign of the cosine is the
    opposite of Tian & Xu's adaptive term. The paper's weights and transforms are not known to us;
    these are to be swept. A defense's objective is not used.

    Args:
        steps: how many gradient steps.
        step: size of one step as a fraction of eps.
        temporal: weight of V; alone it is the Temporal Invariance Attack.
        misalignment: weight of the cosine; alone it is the Modality Misalignment Attack.
        shifts: how many evenly spaced shifts V is taken over.

    Raises:
        ValueError: steps or step is not positive, or fewer than two shifts.
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
        if isinstance(problem.model, AVClassifier | HeldModel):
            weight = self.misalignment if comparable_embeddings(problem.model) else 0.0
            goal = problem.towards(partial(self._loss, misalignment=weight))
        else:
            goal = problem
        x = problem.clip
        for _ in range(self.steps):
            x = goal.step(x, goal.answer(x).gradient, self.step)
        return not_better_off(problem, x)

    def left_out(self, model: Classifier, classes: int, threats: object = ()) -> list[str]:
        if not isinstance(model, AVClassifier | HeldModel):
            return ["temporal invariance and misalignment, which need a model with embeddings"]
        return [MISALIGNED] if self.misalignment and not comparable_embeddings(model) else []

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
