"""An ensemble of attacks without free parameters, each on the clips that are not fooled yet."""

import copy
from collections.abc import Iterable, Mapping
from functools import partial
from typing import ClassVar, NamedTuple, final

from avrobust.attacks.apgd import APGD
from avrobust.attacks.base import AdaptiveAttack, Attack, Outcome
from avrobust.attacks.best import BestAdversarial
from avrobust.attacks.fab import FABT
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.attacks.losses import WithCosine, comparable_embeddings
from avrobust.attacks.problem import Problem
from avrobust.attacks.square import Square
from avrobust.ranges import PositiveInt
from avrobust.threats import Threat
from avrobust.types import Classifier, Clip

# In `Outcome.attack`: the model is wrong on the clean clip.
WRONG_WITHOUT_ATTACK = "clean"
AUTOATTACK_QUERIES = 5000  # of Square in AutoAttack's standard version
BLACK_BOX = "square"  # the member that uses no gradient, which therefore sees through masked ones
COSINES: dict[str, Objective] = {"plus_cosine": WithCosine(1.0), "minus_cosine": WithCosine(-1.0)}


class Member(NamedTuple):
    """One attack of the ensemble and the loss that it maximizes."""

    name: str
    attack: Attack
    objective: Objective | None = None  # None: the objective that the ensemble is called with


@final
class AVAuto(Attack):
    """Auto-PGD on cross-entropy, targeted DLR and both signs of the cosine, FAB-T, Square.

    AutoAttack's standard version (Croce & Hein 2020) for two modalities, and the cosines. A member
    attacks the clips that the members before it have not fooled. A clip that no member fools comes
    back in the version with the highest cross-entropy, and a clip that the model gets wrong as it
    is. Members that do not fit a model are skipped (`members`, `unsupported`). Against a defense
    that declares its attacker's losses, each of them gets an Auto-PGD as well (`adaptive_attack`).

    Args:
        steps: of each run of Auto-PGD and of FAB-T.
        targets: number of wrong classes that the targeted loss and FAB-T lead to.
        queries: of Square. With fewer than AutoAttack's 5,000, Square's schedule is fit to them;
            in absolute numbers it would not get beyond its largest squares.

    Raises:
        ValueError: a number is out of range.
    """

    kind = "ensemble"
    judges_itself: ClassVar[bool] = True

    def __init__(
        self, steps: PositiveInt = 100, targets: PositiveInt = 9, queries: PositiveInt = 5000
    ) -> None:
        self.apgd = partial(APGD, steps, targets=targets, stop=True)
        self.fab = FABT(steps, targets)
        self.square = Square(queries, rescale_schedule=queries < AUTOATTACK_QUERIES)
        self.declared: Mapping[str, Objective] = {}

    def adaptive_attack(self, objectives: Mapping[str, Objective]) -> AdaptiveAttack:
        """One run of the ensemble with an Auto-PGD on each of the defense's objectives as well."""
        adaptive = copy.copy(self)
        adaptive.declared = objectives
        return AdaptiveAttack(adaptive, {"together": cross_entropy})

    def perturb(self, problem: Problem) -> Outcome:
        logits = problem.logits(problem.clip)
        best = BestAdversarial(problem.clip)
        best.update(problem.clip, problem.adversarial_loss(logits), problem.fooled(logits))
        fooled_by = [WRONG_WITHOUT_ATTACK if fooled else "" for fooled in best.fooled.tolist()]
        for member in self.members(problem.model, logits.shape[1]):
            index = best.not_fooled()
            if not len(index) or not _defined(member.attack, problem.threat):
                continue
            part = problem.take(index)
            x = member.attack.clips(part.with_loss(member.objective or problem.objective))
            logits = part.logits(x)
            fooled = part.fooled(logits)
            best.update(x, part.adversarial_loss(logits), fooled, index)
            for i in index[fooled].tolist():
                fooled_by[i] = member.name
        return Outcome(best.clip, tuple(fooled_by))

    def members(self, model: Classifier, classes: int) -> list[Member]:
        """The attacks that fit a model, in the order in which they run."""
        members = [Member("apgd_ce", self.apgd("objective"))]
        if classes >= 4:
            members.append(Member("apgd_t", self.apgd("dlr_targeted")))
        elif classes == 3:
            members.append(Member("apgd_dlr", self.apgd("dlr")))
        objectives = {**(COSINES if comparable_embeddings(model) else {}), **self.declared}
        objectives.pop("cross_entropy", None)  # the first member maximizes it
        for name, objective in objectives.items():
            members.append(Member(f"apgd_{name}", self.apgd("objective"), objective))
        return [*members, Member("fab_t", self.fab), Member(BLACK_BOX, self.square)]

    def unsupported(
        self,
        model: Classifier,
        classes: int,
        threats: Iterable[Threat] = (),
        clip: Clip | None = None,
    ) -> list[str]:
        threats = list(threats)  # looked at once for each member
        reasons: list[str] = []
        if classes < 4:
            instead = "; apgd_dlr instead" if classes == 3 else ""
            reasons.append(f"apgd_t, which compares 4 classes: the model has {classes}{instead}")
        if not comparable_embeddings(model):
            reasons.append("apgd with the cosine, which needs two embeddings of one size")
        for name, attack in ((BLACK_BOX, self.square), ("fab_t", self.fab)):
            if not all(_defined(attack, threat) for threat in threats):
                norms = ", ".join(attack.norms)
                reasons.append(f"{name}, which is defined for budgets of the norm {norms}")
        return reasons


def _defined(attack: Attack, threat: Threat) -> bool:
    return all(budget is None or budget.norm in attack.norms for budget in threat.budgets)
