"""Attacks that want one certain wrong answer."""

from collections.abc import Iterable
from typing import Literal, final, get_args

import torch
from torch import Tensor

from avrobust.attacks.base import Attack, Outcome
from avrobust.attacks.losses import log_likelihood
from avrobust.attacks.problem import Problem
from avrobust.errors import UserError
from avrobust.threats import Threat
from avrobust.types import Classifier

Choice = Literal["least_likely", "random", "next"]


@final
class Targeted(Attack):
    """Another attack on the likelihood of one wrong class of each clip. Kurakin et al. 2017 (arXiv 1611.01236).

    Within the attack a clip counts as fooled only where the model says that class. Whoever
    evaluates the outcome still counts a clip as robust where the model says the label: a targeted
    attack wants more, so it leaves more standing.

    Args:
        attack: one that maximizes whatever objective it is given (`aims`).
        choice: the class the model holds least likely for the clean clip; one drawn from the clip's
            generator; or the one after the label. Never the label.

    Raises:
        UserError: the attack maximizes a loss of its own, or there is no such choice.
    """

    def __init__(self, attack: Attack, choice: Choice = "least_likely") -> None:
        if choice not in get_args(Choice):
            raise UserError(f"target={choice}: choices: {', '.join(get_args(Choice))}")
        if not attack.aims:
            name = type(attack).__name__
            raise UserError(
                f"target={choice}: {name} maximizes a loss of its own and cannot lead to a class"
            )
        self.attack, self.choice = attack, choice
        self.bounded, self.needs_gradient, self.norms = (
            attack.bounded,
            attack.needs_gradient,
            attack.norms,
        )

    def refuse(self, classes: int) -> None:
        if classes < 2:
            raise UserError("target: there is no other class")
        self.attack.refuse(classes)

    def left_out(
        self, model: Classifier, classes: int, threats: Iterable[Threat] = ()
    ) -> list[str]:
        return self.attack.left_out(model, classes, threats)

    def perturb(self, problem: Problem) -> Outcome:
        target = self._target(problem)
        clip = self.attack.clips(problem.to_class(target, log_likelihood))
        return Outcome(clip, ("",) * len(problem), tuple(target.tolist()))

    def _target(self, problem: Problem) -> Tensor:
        """A class of each clip that is not its label: (B,) int64."""
        logits, label = problem.logits(problem.clip), problem.label
        classes = logits.shape[1]
        if self.choice == "least_likely":
            return logits.scatter(1, label.unsqueeze(1), torch.inf).argmin(1)
        if self.choice == "next":
            return (label + 1) % classes
        drawn = [torch.randint(1, classes, (), generator=g) for g in problem.generator_of_each()]
        return (label + torch.stack(drawn).to(label)) % classes
