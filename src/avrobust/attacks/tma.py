"""Attacks on temporal invariance, on the alignment of the modalities, and on both."""

from collections.abc import Iterable, Sequence
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
from avrobust.models.classifier import eval_mode
from avrobust.ranges import NonNegativeFloat, PositiveInt, Step, TwoOrMore
from avrobust.threats import Threat
from avrobust.types import MODALITIES, Classifier, Clip, Features, Modality

NO_COSINE = "the similarity of the embeddings, which needs two embeddings of one size"
NO_EMBEDDINGS = "temporal invariance and misalignment, which need a model with embeddings"
CONSTANT = "which is constant: no shift of the clip in time changes the embedding"
MEASURED_AT = 0.1  # distance from the clips, in waveform units and pixels
ROUNDING = 1e-8  # variance of unit embeddings: a mean over frames has 1e-15, the zoo's others 9e-5


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
        ValueError: a number is out of range.
    """

    def __init__(
        self,
        steps: PositiveInt = 10,
        step: Step = 0.125,
        temporal: NonNegativeFloat = 1.0,
        misalignment: NonNegativeFloat = 1.0,
        shifts: TwoOrMore = 4,
    ) -> None:
        self.steps, self.step = steps, step
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

    def unsupported(
        self,
        model: Classifier,
        classes: int,
        threats: Iterable[Threat] = (),
        clip: Clip | None = None,
    ) -> list[str]:
        if not has_embeddings(model):
            return [NO_EMBEDDINGS]
        reasons = []
        misaligned = self.misalignment and comparable_embeddings(model)
        if self.misalignment and not misaligned:
            reasons.append(NO_COSINE)
        if self.temporal:
            constant = self._constant(model, noise() if clip is None else clip)
            for modality in _attacked(model, threats):
                if modality in constant:
                    instead = "" if misaligned else f"; the attack on {modality} alone is PGD"
                    reasons.append(f"temporal invariance of {modality}, {CONSTANT}{instead}")
        return reasons

    @torch.no_grad()
    def _constant(self, model: Any, clip: Clip) -> list[Modality]:
        """The modalities whose embedding no shift of the clip in time changes.

        This is measured near the clips and not at them, because a silent sound or a picture that
        stands still has no variance at first.
        """
        rng = torch.Generator().manual_seed(0)
        changed = []
        for x in clip:
            signs = torch.randint(0, 2, x.shape, generator=rng).to(x) * 2 - 1
            changed.append(x + MEASURED_AT * signs)
        # bfloat16 would round away what separates a small variance from none.
        with eval_mode(model), torch.autocast(clip.audio.device.type, enabled=False):
            views = [
                model.encode(shifted(Clip(*changed), i / self.shifts)).pooled()
                for i in range(self.shifts)
            ]
        constant: list[Modality] = []
        for modality in model.fusion.uses:
            alone = [getattr(view, modality) for view in views]  # (B, D) each
            variance = _variance([Features(x, x[:, :0]) for x in alone])
            if variance.max() < ROUNDING:
                constant.append(modality)
        return constant

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


def noise() -> Clip:
    """Two clips of noise, to measure a model on where no clips are given."""
    rng = torch.Generator().manual_seed(0)
    sound = torch.rand(2, 1, 11_264, generator=rng) * 2 - 1
    return Clip(sound, torch.rand(2, 4, 3, 64, 64, generator=rng))


def _attacked(model: Any, threats: Iterable[Threat]) -> list[Modality]:
    """The modalities that the model uses and some threat allows to change."""
    allowed = {modality for threat in threats for modality in threat.modalities}
    return [m for m in MODALITIES if m in model.fusion.uses and (m in allowed or not allowed)]


def _variance(views: Sequence[Features]) -> Tensor:
    """The variance of embeddings of length 1 over views, summed over both modalities: (B,)."""
    points = torch.stack(
        [torch.cat([F.normalize(x, dim=1) for x in view.pooled()], 1) for view in views]
    )  # (views, B, 2 D)
    return points.var(0, unbiased=False).sum(1)
