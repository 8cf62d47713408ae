"""What every attack is."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar, NamedTuple, final

import torch
from torch import Generator, Tensor

from avrobust.attacks.problem import Meter, Objective, Problem, cross_entropy
from avrobust.attacks.shared import Shared
from avrobust.errors import UserError
from avrobust.models.classifier import AVClassifier, HeldModel, frozen
from avrobust.threats import Norm, Threat
from avrobust.types import MODALITIES, Classifier, Clip

__all__ = ["Attack", "Objective", "Outcome", "cross_entropy", "posed"]


class Outcome(NamedTuple):
    """Adversarial clips, and what else is known of how each came about."""

    clip: Clip
    by: tuple[
        str, ...
    ]  # of attacks made of several, which one fooled it; empty where it stands or there are none
    target: tuple[int, ...] = ()  # of attacks that want a certain answer, which one


class Attack(ABC):
    """Perturbs clips so that a model errs, within a threat. Holds hyper-parameters alone; no state between calls."""

    bounded: bool = True  # False: the outcome may leave the budget, and every table says so
    needs_gradient: bool = True  # False: queries alone
    norms: tuple[Norm, ...] = ("linf", "l2")  # of budgets that the attack is defined for
    aims: bool = False  # it maximizes the objective that it is given and nothing else, so that it can lead to a class
    begins_clean: bool = False  # its first question is about the clean clips, whatever the threat
    judged: ClassVar[bool] = (
        False  # True: a row made with it ends with a verdict on its own numbers
    )

    @final
    def __call__(
        self,
        model: Classifier,
        clip: Clip,
        label: Tensor,
        threat: Threat,
        *,
        generators: Sequence[Generator] | None = None,
        objective: Objective = cross_entropy,
    ) -> Clip:
        """Adversarial versions of `clip`; for the arguments see `run`."""
        return self.run(model, clip, label, threat, generators=generators, objective=objective).clip

    @final
    def run(
        self,
        model: Classifier,
        clip: Clip,
        label: Tensor,
        threat: Threat,
        *,
        generators: Sequence[Generator] | None = None,
        objective: Objective = cross_entropy,
        shared: Shared | None = None,
        meters: Sequence[Meter] = (),
    ) -> Outcome:
        """Adversarial versions of `clip`, and what fooled each.

        Each clip's result is its own: it does not depend on what else is in the batch. The model is
        attacked in eval mode and left as it was (mode, requires_grad, gradients). A modality
        without a budget comes back as it went in.

        Args:
            model: any callable from Clip to logits (B, C); an AVClassifier is attacked faster.
            clip: clean clips, valid under the threat's bounds.
            label: true classes, (B,) int64.
            threat: what may be moved and how far.
            generators: one a clip, for attacks that draw at random.
            objective: what the attacker maximizes; a defense may declare an adaptive one.
            shared: what other conditions on the same model, clips and labels have computed already.
            meters: one a clip, which count what is asked of the model.

        Raises:
            ValueError: the model's output cannot be differentiated, so that a gradient attack would
                say nothing.
        """
        self.refuse_norm(threat)
        with posed(model, clip, label, threat, generators, objective, shared, meters) as problem:
            if problem and shared and self.begins_clean:
                problem = replace(problem, first=shared.first(problem.threat, objective))
            found = self.perturb(problem) if problem else clip
        return found if isinstance(found, Outcome) else Outcome(found, ("",) * len(label))

    @final
    def clips(self, problem: Problem) -> Clip:
        """The adversarial clips alone, for attacks that are made of others."""
        found = self.perturb(problem)
        return found.clip if isinstance(found, Outcome) else found

    @final
    def refuse_norm(self, threat: Threat) -> None:
        """Raises UserError if the attack is not defined for the threat's norms."""
        for budget in threat.budgets:
            if budget and budget.norm not in self.norms:
                name = type(self).__name__
                raise UserError(
                    f"{name} is not defined for budgets of the norm {budget.norm}: {', '.join(self.norms)}"
                )

    def refuse(self, classes: int) -> None:  # noqa: B027 -- most attacks need no certain number
        """Raises UserError if the attack makes no sense for a model of so many classes."""

    def left_out(
        self, model: Classifier, classes: int, threats: Iterable[Threat] = ()
    ) -> list[str]:
        """What of this attack does not fit a model or the threats and is left out, each with the reason."""
        return []

    @abstractmethod
    def perturb(self, problem: Problem) -> Clip | Outcome:
        """The attack itself: clips within the problem's threat with a higher loss."""


@contextmanager
def posed(
    model: Classifier,
    clip: Clip,
    label: Tensor,
    threat: Threat,
    generators: Sequence[Generator] | None,
    objective: Objective,
    shared: Shared | None = None,
    meters: Sequence[Meter] = (),
) -> Iterator[Problem | None]:
    """The problem that these clips pose, with the model frozen meanwhile; None if no attack reaches the model."""
    threat = _reachable(model, threat)
    if not any(threat.budgets):
        yield None
        return
    with frozen(model), torch.enable_grad():
        held = _hold(model, clip, threat, shared)
        yield Problem(held, clip, label, threat, generators, objective, meters=meters)


def _reachable(model: Classifier, threat: Threat) -> Threat:
    """The threat without the modalities that a unimodal AVClassifier never looks at: no attack gets there."""
    if not isinstance(model, AVClassifier):
        return threat
    uses = model.fusion.uses
    return Threat(
        threat.audio if "audio" in uses else None, threat.visual if "visual" in uses else None
    )


def _hold(model: Classifier, clip: Clip, threat: Threat, shared: Shared | None) -> Classifier:
    """The model with the untouched modality's embedding computed once, where its parts are known."""
    untouched = [m for m, budget in zip(MODALITIES, threat.budgets, strict=True) if budget is None]
    if not isinstance(model, AVClassifier) or not untouched:
        return model
    return shared.hold(*untouched) if shared else HeldModel.of(model, clip, *untouched)
