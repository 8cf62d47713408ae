"""The attack for whoever wants a number to trust: several attacks without parameters, each on what still stands."""

import copy
from collections.abc import Iterable, Mapping
from functools import partial
from typing import ClassVar, NamedTuple, final

from avrobust.attacks.apgd import APGD
from avrobust.attacks.base import Attack, Outcome
from avrobust.attacks.losses import WithCosine, comparable_embeddings
from avrobust.attacks.problem import Objective, Problem
from avrobust.attacks.search import Worst
from avrobust.attacks.square import Square
from avrobust.threats import Threat
from avrobust.types import Classifier

WRONG_ALREADY = "clean"
COSINES: dict[str, Objective] = {"plus_cosine": WithCosine(1.0), "minus_cosine": WithCosine(-1.0)}


class Member(NamedTuple):
    """One attack of the ensemble and what it maximizes; None is what the ensemble was given."""

    name: str
    attack: Attack
    objective: Objective | None = None


@final
class AVAuto(Attack):
    """Auto-PGD on cross-entropy, on targeted DLR and on both signs of the embeddings' cosine, then Square.

    In the manner of AutoAttack (Croce & Hein 2020), for two modalities. A member attacks the clips
    that the ones before it have not fooled; of one that withstands all, the version with the
    highest cross-entropy comes back. A clip that the model gets wrong stays as it is. What does not
    fit a model is left out, see `members`. Of a defense that declares what an attacker would
    maximize, see `knowing`.

    Args:
        steps: of each run of Auto-PGD.
        targets: wrong classes that the targeted loss aims at.
        queries: of Square.
    """

    judged: ClassVar[bool] = True

    def __init__(self, steps: int = 100, targets: int = 9, queries: int = 5000) -> None:
        self.ascent = partial(APGD, steps, targets=targets, stop=True)
        self.square = Square(queries)
        self.declared: Mapping[str, Objective] = {}

    def knowing(self, objectives: Mapping[str, Objective]) -> "AVAuto":
        """The same ensemble with an Auto-PGD on each of these as well, by the name of the objective."""
        informed = copy.copy(self)
        informed.declared = objectives
        return informed

    def perturb(self, problem: Problem) -> Outcome:
        logits = problem.logits(problem.clip)
        worst = Worst(problem.clip)
        worst.offer(problem.clip, problem.harm(logits), problem.fooled(logits))
        by = [WRONG_ALREADY if fooled else "" for fooled in worst.fooled.tolist()]
        for member in self.members(problem.model, logits.shape[1]):
            index = (~worst.fooled).nonzero().squeeze(1)
            if len(index) and _defined(member.attack, problem.threat):
                part = problem.take(index)
                found = member.attack.clips(part.towards(member.objective or problem.objective))
                logits = part.logits(found)
                worst.offer(found, part.harm(logits), part.fooled(logits), index)
                for i in index[part.fooled(logits)].tolist():
                    by[i] = member.name
        return Outcome(worst.clip, tuple(by))

    def members(self, model: Classifier, classes: int) -> list[Member]:
        """The attacks that fit a model, in the order in which they are tried."""
        found = [Member("apgd_ce", self.ascent("objective"))]
        if classes >= 4:
            found.append(Member("apgd_t", self.ascent("dlr_targeted")))
        elif classes == 3:
            found.append(Member("apgd_dlr", self.ascent("dlr")))
        objectives = {**(COSINES if comparable_embeddings(model) else {}), **self.declared}
        objectives.pop("cross_entropy", None)  # the first member's
        found += [
            Member(f"apgd_{name}", self.ascent("objective"), o) for name, o in objectives.items()
        ]
        return [*found, Member("square", self.square)]

    def left_out(
        self, model: Classifier, classes: int, threats: Iterable[Threat] = ()
    ) -> list[str]:
        reasons = []
        if classes < 4:
            instead = "; apgd_dlr instead" if classes == 3 else ""
            reasons.append(f"apgd_t, which compares 4 classes: the model has {classes}{instead}")
        if not comparable_embeddings(model):
            reasons.append("apgd with the cosine, which needs two embeddings of one size")
        if not all(_defined(self.square, threat) for threat in threats):
            reasons.append(
                f"square, which is defined for budgets of the norm {', '.join(self.square.norms)}"
            )
        return reasons


def _defined(attack: Attack, threat: Threat) -> bool:
    return all(budget is None or budget.norm in attack.norms for budget in threat.budgets)
