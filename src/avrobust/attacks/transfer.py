"""Clips made on one model and shown to another."""

from collections.abc import Iterable
from typing import final

from avrobust.attacks.base import Attack, Outcome
from avrobust.attacks.problem import Problem
from avrobust.threats import Threat
from avrobust.types import Classifier


@final
class Transfer(Attack):
    """Another attack, run on another model: an attacker who does not have the one that is asked (Papernot et al. 2016).

    A clip that the source is fooled by need not fool the attacked model, so accuracies are higher
    than under the attack itself; where they are lower, that attack has failed (see
    docs/verdict.md). What is counted are the source's passes.

    Args:
        attack: how the clips are perturbed; bounds and norms are its own.
        source: the model that they are made on; on the same device as the one that is asked.
    """

    def __init__(self, attack: Attack, source: Classifier) -> None:
        self.attack, self.source = attack, source
        self.bounded, self.needs_gradient, self.norms = (
            attack.bounded,
            attack.needs_gradient,
            attack.norms,
        )

    def refuse(self, classes: int) -> None:
        self.attack.refuse(classes)

    def left_out(
        self, model: Classifier, classes: int, threats: Iterable[Threat] = ()
    ) -> list[str]:
        return self.attack.left_out(self.source, classes, threats)

    def perturb(self, problem: Problem) -> Outcome:
        p = problem
        found = self.attack.run(
            self.source,
            p.clip,
            p.label,
            p.threat,
            generators=p.generators,
            objective=p.objective,
            meters=p.meters,
        )
        return Outcome(found.clip, ("",) * len(p), found.target)
