"""What every attack is."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar, Literal, NamedTuple, final

import torch
from torch import Generator, Tensor

from avrobust.attacks.cache import EmbeddingCache
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.attacks.problem import Problem, QueryCounter
from avrobust.errors import UserError
from avrobust.models.classifier import AVClassifier, frozen
from avrobust.threats import Norm, Threat
from avrobust.types import MODALITIES, Classifier, Clip
from avrobust.utils.arguments import CheckedArguments

# From the weakest to the strongest.
Kind = Literal["one_step", "iterative", "strong", "black_box", "ensemble"]


class Outcome(NamedTuple):
    """Changed clips, and what is known of how each came about."""

    clip: Clip
    attack: tuple[str, ...] = ()  # the ensemble member that fooled each clip, or ""; () if unknown
    target: tuple[int, ...] = ()  # the class that each clip was to reach; () if there was none


class AdaptiveAttack(NamedTuple):
    """How an attacker who knows a defense attacks it."""

    attack: "Attack"
    objectives: Mapping[str, Objective]  # by name; the attack runs once for each


class Attack(CheckedArguments, ABC):
    """Perturbs clips within a threat so that a model errs.

    An attack holds hyper-parameters alone and keeps no state between calls. Its constructor raises
    ValueError for a number that the parameter's type excludes (`avrobust.ranges`).

    Attributes:
        kind: what the attack is; tables list attacks in the order of `Kind`.
        paper_name: the attack's name in report/paper.csv; None if the paper does not have it.
        bounded: False if the outcome may leave the budget, which every table then says.
        needs_gradient: False if the attack uses logits alone.
        norms: the norms of budgets that the attack is defined for.
        supports_targeted: the attack maximizes the objective that it is called with and nothing
            else, so that it can lead to a class.
        starts_at_clean: the attack's first gradient is at the clean clips, whatever the threat.
        judges_itself: results of this attack end with a verdict on gradient masking.
    """

    kind: Kind = "iterative"
    paper_name: str | None = None
    bounded: bool = True
    needs_gradient: bool = True
    norms: tuple[Norm, ...] = ("linf", "l2")
    supports_targeted: bool = False
    starts_at_clean: bool = False
    judges_itself: ClassVar[bool] = False

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
        """Adversarial versions of `clip`.

        Args:
            model: any callable from Clip to logits (B, C); an AVClassifier is attacked faster.
            clip: clean clips, valid under the threat's bounds.
            label: true classes, (B,) int64.
            threat: what may be changed and how far.
            generators: one a clip, for attacks that draw at random.
            objective: the loss that the attack maximizes.

        Raises:
            ValueError: the model's output cannot be differentiated.
        """
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
        cache: EmbeddingCache | None = None,
        counters: Sequence[QueryCounter] = (),
    ) -> Outcome:
        """Adversarial versions of `clip`, and what fooled the model on each.

        Each clip's result is its own: it does not depend on what else is in the batch. The model is
        attacked in eval mode and left as it was (mode, requires_grad, gradients). A modality
        without a budget comes back as it went in.

        Args:
            model: any callable from Clip to logits (B, C); an AVClassifier is attacked faster.
            clip: clean clips, valid under the threat's bounds.
            label: true classes, (B,) int64.
            threat: what may be changed and how far.
            generators: one a clip, for attacks that draw at random.
            objective: the loss that the attack maximizes; a defense may declare an adaptive one.
            cache: what is known already of this model, these clips and labels.
            counters: one a clip, which count gradients and queries.

        Raises:
            ValueError: the model's output cannot be differentiated, or a gradient is not finite, so
                that a gradient attack would find nothing and overestimate robustness.
        """
        self.validate_norms(threat)
        with attack_problem(
            model, clip, label, threat, generators, objective, cache, counters
        ) as problem:
            if problem is None:
                return Outcome(clip)
            if cache is not None and self.starts_at_clean:
                clean_result = cache.clean_gradient(objective, problem.threat)
                problem = replace(problem, clean_result=clean_result)
            result = self.perturb(problem)
            if not self.judges_itself:  # a verdict says it in its own words
                problem.watch.check()
        return result if isinstance(result, Outcome) else Outcome(result)

    @final
    def clips(self, problem: Problem) -> Clip:
        """The adversarial clips alone, for attacks that are made of others."""
        result = self.perturb(problem)
        return result.clip if isinstance(result, Outcome) else result

    @final
    def validate_norms(self, threat: Threat) -> None:
        """Checks that the attack is defined for the threat's norms.

        Raises:
            UserError: it is not.
        """
        for budget in threat.budgets:
            if budget and budget.norm not in self.norms:
                name, norms = type(self).__name__, ", ".join(self.norms)
                raise UserError(
                    f"threat: its budgets are of the norm {budget.norm}, and the attack {name} is "
                    f"defined for the norm {norms} alone"
                )

    def validate(self, classes: int) -> None:
        """Checks that the attack makes sense for a model of so many classes.

        Raises:
            UserError: it does not.
        """

    def unsupported(
        self,
        model: Classifier,
        classes: int,
        threats: Iterable[Threat] = (),
        clip: Clip | None = None,
    ) -> list[str]:
        """Parts of this attack that are skipped for a model or threats, each with the reason.

        Args:
            model: the model that is to be attacked.
            classes: number of classes.
            threats: the threats that it is to be attacked under.
            clip: a few of the clips that are to be attacked, for attacks that measure what the
                model's classes do not tell; None for noise in their place.
        """
        return []

    def adaptive_attack(self, objectives: Mapping[str, Objective]) -> AdaptiveAttack:
        """How an attacker who knows a defense uses this attack: once for each of its objectives.

        Args:
            objectives: what the defense declares that an attacker would maximize, by name.
        """
        return AdaptiveAttack(self, objectives)

    @abstractmethod
    def perturb(self, problem: Problem) -> Clip | Outcome:
        """The attack itself: clips within the problem's threat with a higher loss."""


@contextmanager
def attack_problem(
    model: Classifier,
    clip: Clip,
    label: Tensor,
    threat: Threat,
    generators: Sequence[Generator] | None,
    objective: Objective,
    cache: EmbeddingCache | None = None,
    counters: Sequence[QueryCounter] = (),
) -> Iterator[Problem | None]:
    """The problem of attacking these clips, with the model frozen meanwhile.

    Args:
        model: any callable from Clip to logits (B, C).
        clip: clean clips.
        label: true classes, (B,) int64.
        threat: what may be changed and how far.
        generators: one a clip, or None.
        objective: the loss that is maximized.
        cache: what is known already of this model, these clips and labels.
        counters: one a clip, or none.

    Yields:
        The problem; None if the model ignores every modality that the threat allows to change.
    """
    if isinstance(model, AVClassifier):
        # A unimodal model ignores the other modality, which therefore need not be attacked.
        threat = threat.only(model.fusion.uses)
    if not threat.modalities:
        yield None
        return
    with frozen(model), torch.enable_grad():
        attacked = model
        untouched = [modality for modality in MODALITIES if modality not in threat.modalities]
        if untouched and isinstance(model, AVClassifier):
            attacked = (cache or EmbeddingCache(model, clip, label)).model(*untouched)
        yield Problem(attacked, clip, label, threat, generators, objective, counters=counters)
