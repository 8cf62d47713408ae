"""What an attack has to solve: clips, the threat against them, and what a model says near them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from avrobust.attacks import gradients
from avrobust.attacks.cached_model import CachedModel
from avrobust.attacks.gradients import LossGradient, Objective, cross_entropy, wrong
from avrobust.attacks.outputs import InvalidOutputError, check_shape
from avrobust.threats import Threat
from avrobust.types import Classifier, Clip


@final
@dataclass
class QueryCounter:
    """How often an attack used the model on one clip.

    A gradient is one of the loss that the attack maximizes: one pass forward and back, unless the
    objective itself takes several. A gradient from the cache counts as well, as a shared one.
    """

    gradients: int = 0
    queries: int = 0  # forward passes without a gradient
    shared_gradients: int = 0  # those gradients that one pass served to all conditions


@final
class GradientWatch:
    """Whether every gradient of an attack was finite. It reads no value until it is asked."""

    def __init__(self) -> None:
        self._finite: Tensor | None = None

    def add(self, gradient: Clip) -> None:
        """Looks at one more gradient."""
        for part in gradient:
            finite = part.isfinite().all()
            self._finite = finite if self._finite is None else self._finite & finite

    def check(self) -> None:
        """Refuses an attack that had nothing to follow.

        Raises:
            InvalidOutputError: a gradient was not finite.
        """
        if self._finite is not None and not self._finite:
            raise InvalidOutputError(
                "the gradient of the attacker's loss is not finite for a clip: an attack that "
                "follows it overestimates robustness (attack=av_auto also searches without "
                "gradients, and says whether its result is to be trusted)"
            )


@final
@dataclass(frozen=True)
class Problem:
    """Clean clips with their labels, the threat against them, and the model that is attacked.

    `take` narrows a problem to some of its clips, for attacks that go on with the clips that no
    step has fooled yet. Everything that belongs to a clip comes along: its label, its generator,
    its counter, and the embedding of a modality that is not attacked.

    Args:
        model: clips to logits (B, C).
        clip: the clean clips.
        label: true classes, (B,) int64.
        threat: what may be changed and how far.
        generators: one a clip, for attacks that draw at random.
        objective: the loss that the attack maximizes.
        target: wanted classes, (B,) int64, for objectives that lead to a class.
        must_reach_target: a clip counts as fooled only where the model predicts its target.
        clean_result: loss, logits and gradient at the clean clips, if they are known.
        counters: one a clip; empty where nobody counts.
        watch: of all gradients, also of those for some of the clips.
    """

    model: Classifier
    clip: Clip
    label: Tensor
    threat: Threat
    generators: Sequence[Generator] | None = None
    objective: Objective = cross_entropy
    target: Tensor | None = None
    must_reach_target: bool = False
    clean_result: LossGradient | None = None
    counters: Sequence[QueryCounter] = ()
    watch: GradientWatch = field(default_factory=GradientWatch)

    def __len__(self) -> int:
        return len(self.label)

    def take(self, index: Tensor) -> "Problem":
        """The same problem for the clips at `index`, (K,) int64."""
        everything = torch.arange(len(self), device=index.device)
        if torch.equal(index, everything):
            return self
        positions = index.tolist()
        generators = self.generators and [self.generators[i] for i in positions]
        counters = self.counters and [self.counters[i] for i in positions]
        return replace(
            self,
            model=self.model.take(index) if isinstance(self.model, CachedModel) else self.model,
            clip=take(self.clip, index),
            label=self.label[index],
            generators=generators,
            target=None if self.target is None else self.target[index],
            clean_result=None,
            counters=counters,
        )

    def with_loss(self, objective: Objective, target: Tensor | None = None) -> "Problem":
        """The same problem with another loss, and with the target that this loss leads to."""
        return replace(self, objective=objective, target=target, clean_result=None)

    def with_objective(self, objective: Objective) -> "Problem":
        """The same problem with another loss to maximize; a target stays."""
        return replace(self, objective=objective, clean_result=None)

    def with_target(self, target: Tensor, objective: Objective) -> "Problem":
        """The same problem, solved where the model predicts `target`, (B,) int64."""
        return replace(self.with_loss(objective, target), must_reach_target=True)

    def value_and_grad(self, x: Clip) -> LossGradient:
        """Loss, logits and gradient at `x`; the gradient is per unit of the budgets.

        Raises:
            ValueError: the model's output cannot be differentiated, so that a gradient attack would
                find nothing and overestimate robustness.
        """
        for counter in self.counters:
            counter.gradients += 1
        result = gradients.value_and_grad(
            self.model, self.objective, x, self.label, self.threat.modalities, self.target
        )
        self.watch.add(result.gradient)
        gradient = gradients.in_budget_units(result.gradient, self.threat)
        return result._replace(gradient=gradient)

    def clean_value_and_grad(self) -> LossGradient:
        """Loss, logits and gradient at the clean clips, from the cache where it has them.

        Raises:
            ValueError: the model's output cannot be differentiated.
        """
        if self.clean_result is None:
            return self.value_and_grad(self.clip)
        for counter in self.counters:
            counter.gradients += 1
            counter.shared_gradients += 1
        self.watch.add(self.clean_result.gradient)
        return self.clean_result

    @torch.no_grad()
    def loss_and_logits(self, x: Clip) -> tuple[Tensor, Tensor]:
        """Loss (B,) and logits (B, C) at `x`, without a gradient."""
        self._count_query()
        return gradients.loss_and_logits(self.model, self.objective, x, self.label, self.target)

    @torch.no_grad()
    def logits(self, x: Clip) -> Tensor:
        """The logits at `x`, (B, C), which is all that a black-box attack may see."""
        self._count_query()
        logits = self.model(x)
        check_shape(logits, len(self))
        return logits.detach()

    def _count_query(self) -> None:
        for counter in self.counters:
            counter.queries += 1

    def fooled(self, logits: Tensor) -> Tensor:
        """Whether the prediction is wrong, or the target where that is required: (B,) bool."""
        if self.must_reach_target:
            return ~wrong(logits, self._required_target())
        return wrong(logits, self.label)

    def adversarial_loss(self, logits: Tensor) -> Tensor:
        """One loss by which the outcomes of different objectives are compared, (B,).

        Cross-entropy against the label, or the log-likelihood of the required target.
        """
        if self.must_reach_target:
            return -F.cross_entropy(logits, self._required_target(), reduction="none")
        return F.cross_entropy(logits, self.label, reduction="none")

    def _required_target(self) -> Tensor:
        assert self.target is not None
        return self.target

    def step(self, x: Clip, direction: Clip, fraction: float | Tensor) -> Clip:
        """Moves each attacked modality along `direction`, then projects on the threat.

        Args:
            x: the current clips.
            direction: for example their gradient.
            fraction: length of the step as a share of eps, one number or one for each clip, (B,).
        """
        (audio, visual), clean, threat = x, self.clip, self.threat
        if threat.audio is not None:
            audio = threat.audio.move(audio, direction.audio, fraction, clean.audio)
        if threat.visual is not None:
            visual = threat.visual.move(visual, direction.visual, fraction, clean.visual)
        return self.project(Clip(audio, visual))

    def project(self, x: Clip) -> Clip:
        """The allowed clips that are nearest to `x`."""
        return self.threat.project(x, self.clip)

    def generator_of_each(self) -> Sequence[Generator]:
        """One generator a clip.

        Raises:
            ValueError: there is not one for each clip.
        """
        if self.generators is None or len(self.generators) != len(self):
            raise ValueError("random draws need one generator for each clip")
        return self.generators


def take(clip: Clip, index: Tensor) -> Clip:
    """The clips at `index`."""
    return Clip(clip.audio[index], clip.visual[index])


def put(into: Clip, index: Tensor, clip: Clip) -> Clip:
    """A copy of `into` in which the clips at `index` are those of `clip`."""
    audio = into.audio.index_copy(0, index, clip.audio)
    return Clip(audio, into.visual.index_copy(0, index, clip.visual))
