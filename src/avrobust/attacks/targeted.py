"""Attacks that lead to one certain wrong class."""

from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor

from avrobust.attacks.base import Attack, Outcome
from avrobust.attacks.losses import log_likelihood
from avrobust.attacks.problem import Problem
from avrobust.errors import UserError
from avrobust.threats import Threat
from avrobust.types import Classifier, Clip, Target


@final
class Targeted(Attack):
    """Another attack on the likelihood of one wrong class of each clip.

    Kurakin et al. 2017 (arXiv 1611.01236). Within the attack a clip counts as fooled only where the
    model predicts that class. An evaluation still counts every clip as robust whose prediction is
    the label. A targeted attack has the harder task, so it leaves more clips robust.

    Args:
        attack: one that maximizes the objective that it is called with (`supports_targeted`).
        choice: "least_likely" for the class that the model holds least likely for the clean clip,
            "random" for one drawn from the clip's generator, "next" for the class after the label.
            Never the label.

    Raises:
        ValueError: there is no such choice.
        UserError: the attack maximizes a loss of its own.
    """

    def __init__(self, attack: Attack, choice: Target = "least_likely") -> None:
        if not attack.supports_targeted:
            name = type(attack).__name__
            raise UserError(
                f"target={choice}: {name} maximizes a loss of its own and cannot lead to a class"
            )
        self.attack, self.choice = attack, choice
        self.kind, self.bounded, self.norms = attack.kind, attack.bounded, attack.norms
        self.needs_gradient = attack.needs_gradient

    def validate(self, classes: int) -> None:
        if classes < 2:
            raise UserError("target: there is no other class")
        self.attack.validate(classes)

    def unsupported(
        self,
        model: Classifier,
        classes: int,
        threats: Iterable[Threat] = (),
        clip: Clip | None = None,
    ) -> list[str]:
        return self.attack.unsupported(model, classes, threats, clip)

    def perturb(self, problem: Problem) -> Outcome:
        target = self._target(problem)
        clip = self.attack.clips(problem.with_target(target, log_likelihood))
        return Outcome(clip, target=tuple(target.tolist()))

    def _target(self, problem: Problem) -> Tensor:
        """A class of each clip that is not its label: (B,) int64."""
        logits, label = problem.logits(problem.clip), problem.label
        classes = logits.shape[1]
        if self.choice == "least_likely":
            return logits.scatter(1, label.unsqueeze(1), torch.inf).argmin(1)
        if self.choice == "next":
            return (label + 1) % classes
        generators = problem.generator_of_each()
        offsets = [torch.randint(1, classes, (), generator=g) for g in generators]
        return (label + torch.stack(offsets).to(label)) % classes
