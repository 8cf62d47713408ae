"""Predicts and measures how the loss changes around one point."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import final

import torch
from torch import Generator, Tensor

from avrobust.attacks.cache import EmbeddingCache
from avrobust.attacks.problem import Problem
from avrobust.models.classifier import AVClassifier
from avrobust.types import MODALITIES, Clip, Modality

JITTER = 1e-3  # of eps: changes the loss by rounding and by seeded noise, and hardly otherwise


@final
class Neighborhood:
    """The loss around one point, along one modality.

    Args:
        problem: the clips, the threat and the loss.
        modality: that is moved.
        x: the point.
        rng: draws signs.
        scale: how far directions go, as a share of eps.
        repeats: over how many tiny changes of the clips losses and gradients are averaged.
    """

    def __init__(
        self,
        problem: Problem,
        modality: Modality,
        x: Clip,
        rng: Generator,
        scale: float,
        repeats: int,
    ) -> None:
        self.problem, self.modality, self.x, self.rng = problem, modality, x, rng
        self.scale, self.repeats = scale, repeats
        self.budget = getattr(problem.threat, modality)
        self.clean = getattr(problem.clip, modality)
        self.start = getattr(x, modality)
        self.near_model = problem.model
        if isinstance(problem.model, AVClassifier):
            # The other modality stays as it is at this point, so it is embedded once.
            (other,) = (each for each in MODALITIES if each != modality)
            self.near_model = EmbeddingCache(problem.model, x, problem.label).model(other)

    @cached_property
    def gradient(self) -> Tensor:
        """The gradient at the point, as an attack computes it; a mean over the repeats."""
        total = torch.zeros_like(self.start)
        for moved in self._repeated(self.start):
            gradient = self.problem.value_and_grad(self._with(moved)).gradient
            total += getattr(gradient, self.modality)
        return total / self.repeats

    def signs(self) -> Tensor:
        """A random direction: each value is 1 or -1."""
        draw = torch.randint(0, 2, self.start.shape, generator=self.rng, dtype=torch.int8)
        return (2 * draw - 1).to(self.start)

    def change(self, direction: Tensor) -> tuple[Tensor, Tensor]:
        """The predicted and the measured change of the loss in one direction, (K,) each."""
        up, down = self._moved(direction, self.scale), self._moved(direction, -self.scale)
        # What the move really was: values are rounded, and end at the valid range.
        half_way = (up - down) / 2 / self.budget.scale(up)
        predicted = (self.gradient.double() * half_way.double()).flatten(1).sum(1)
        return predicted, (self._loss(up) - self._loss(down)) / 2

    def noise(self) -> Tensor:
        """The variance of a measured change that comes from rounding or seeded noise, (K,)."""
        first = self._loss(self._moved(self.signs(), JITTER))
        second = self._loss(self._moved(self.signs(), JITTER))
        # A difference of two losses has twice the variance of one; half the difference, a half.
        return (first - second).square() / 4

    def _moved(self, direction: Tensor, share: float) -> Tensor:
        return self._moved_from(self.start, direction, share)

    def _moved_from(self, x: Tensor, direction: Tensor, share: float) -> Tensor:
        moved = self.budget.move(x, direction, share, self.clean)
        return moved.clamp(self.budget.low, self.budget.high)  # type: ignore[no-any-return]

    def _loss(self, moved: Tensor) -> Tensor:
        """The loss of each clip, (K,); a mean over the repeats."""
        problem, losses = replace(self.problem, model=self.near_model), []
        # In float32 even where the attack computes in bfloat16, which would round the change away.
        with torch.autocast(moved.device.type, enabled=False):
            for near in self._repeated(moved):
                losses.append(problem.loss_and_logits(self._with(near))[0].double())
        return torch.stack(losses).mean(0)

    def _repeated(self, x: Tensor) -> Iterator[Tensor]:
        """`x` itself, or as many versions of it as there are repeats."""
        if self.repeats == 1:
            yield x
            return
        for _ in range(self.repeats):
            yield self._moved_from(x, self.signs(), JITTER)

    def _with(self, moved: Tensor) -> Clip:
        return self.x._replace(**{self.modality: moved})
