"""Adversarial clips made on one model and shown to another."""

from collections.abc import Iterable
from typing import final

from avrobust.attacks.base import Attack, Outcome
from avrobust.attacks.problem import Problem
from avrobust.threats import Threat
from avrobust.types import Classifier, Clip


@final
class Transfer(Attack):
    """Another attack, run on a source model that stands in for the attacked one.

    The attacker has no access to the attacked model (Papernot et al. 2016). A clip that fools the
    source need not fool the attacked model, so accuracies are higher than under the attack itself.
    Where they are lower, the attack itself has failed (docs/verdict.md). The gradients and queries
    that are counted are those of the source.

    Args:
        attack: how the clips are perturbed; it sets the bounds and norms.
        source: the model that the clips are made on, on the same device as the attacked one.
    """

    def __init__(self, attack: Attack, source: Classifier) -> None:
        self.attack, self.source = attack, source
        self.kind, self.bounded, self.norms = attack.kind, attack.bounded, attack.norms
        self.needs_gradient = attack.needs_gradient

    def validate(self, classes: int) -> None:
        self.attack.validate(classes)

    def unsupported(
        self,
        model: Classifier,
        classes: int,
        threats: Iterable[Threat] = (),
        clip: Clip | None = None,
    ) -> list[str]:
        return self.attack.unsupported(self.source, classes, threats, clip)

    def perturb(self, problem: Problem) -> Outcome:
        outcome = self.attack.run(
            self.source,
            problem.clip,
            problem.label,
            problem.threat,
            generators=problem.generators,
            objective=problem.objective,
            counters=problem.counters,
        )
        # An ensemble's member fooled the source, and perhaps not the attacked model.
        return Outcome(outcome.clip, target=outcome.target)
