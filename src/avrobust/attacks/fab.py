"""FAB-T: the nearest point behind the decision boundary to each of several classes."""

from typing import final

import torch
from torch import Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.best import not_weaker_than_clean
from avrobust.attacks.losses import likeliest_wrong, logit_difference
from avrobust.attacks.problem import Problem
from avrobust.attacks.unit_box import UnitBox
from avrobust.ranges import Fraction, OneOrMore, PositiveFraction, PositiveInt
from avrobust.types import Clip

SHORTEST = 1e-8  # distances below count as this, in units of eps


@final
class FABT(Attack):
    """Steps onto the linearized boundary, biased towards the clean clip. Croce & Hein 2020.

    The targeted fast adaptive boundary attack (arXiv 1907.02044), as in AutoAttack, L-infinity. It
    looks for the smallest change that fools the model and not for the highest loss, so that it does
    not depend on the scale of the logits. If both modalities are attacked, the distance of a clip
    is the larger of the two changes, each in units of its own eps. A clip whose change is within
    the budget is left alone from then on.

    Args:
        steps: of each run; a step takes a gradient and a query.
        targets: number of likeliest wrong classes to whose boundary the runs lead, one run each.
        bias: upper bound on the weight of the step that starts at the clean clip (alpha_max).
        overshoot: length of a step as a multiple of the way to the boundary (eta).
        back: what a change that fools is multiplied by before the next step (beta).

    Raises:
        ValueError: a number is out of range.
    """

    kind = "strong"
    norms = ("linf",)

    def __init__(
        self,
        steps: PositiveInt = 100,
        targets: PositiveInt = 9,
        bias: Fraction = 0.1,
        overshoot: OneOrMore = 1.05,
        back: PositiveFraction = 0.9,
    ) -> None:
        self.steps, self.targets = steps, targets
        self.bias, self.overshoot, self.back = bias, overshoot, back

    def perturb(self, problem: Problem) -> Clip:
        box = UnitBox.around(problem)
        if box is None:
            return problem.clip
        logits = problem.logits(problem.clip)
        change = torch.zeros_like(box.low)
        distance = torch.full_like(logits[:, 0], torch.inf)
        # A clip that fools the model as it is lies behind the boundary already.
        distance[problem.fooled(logits)] = 0.0
        for target in likeliest_wrong(logits, problem.label, self.targets).unbind(1):
            index = (distance > 1).nonzero().squeeze(1)
            if not len(index):
                break
            nearer, its_distance = self.smallest_change(problem.take(index), target[index])
            better = its_distance < distance[index]
            change[index[better]] = nearer[better]
            distance[index[better]] = its_distance[better]
        return not_weaker_than_clean(problem, problem.project(box.clip(change)))

    def smallest_change(
        self, problem: Problem, target: Tensor, enough: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """The smallest changes that fool the model, of one run to the boundary of one class.

        Args:
            problem: clips that the model recognizes.
            target: the class of each clip, (B,) int64.
            enough: the distance at which a clip is left alone.

        Returns:
            The changes in the coordinates of `UnitBox`, (B, N), and their distances from the clean
            clips in units of eps, (B,): infinite where no change was found.
        """
        part = problem.with_loss(logit_difference, target)
        box = UnitBox.around(problem)
        assert box is not None
        change = torch.zeros_like(box.low)
        smallest, distance = change.clone(), torch.full_like(change[:, 0], torch.inf)
        index = torch.arange(len(problem), device=target.device)
        for _ in range(self.steps):
            active = distance[index] > enough
            if not active.all():
                rows = active.nonzero().squeeze(1)
                part, box, change, index = (
                    part.take(rows),
                    box.take(rows),
                    change[rows],
                    index[rows],
                )
            if not len(index):
                break
            change = self._step(part, box, change)
            fooled = part.fooled(part.logits(box.clip(change)))
            length = change.abs().amax(1)
            smaller = fooled & (length < distance[index])
            smallest[index[smaller]] = change[smaller]
            distance[index[smaller]] = length[smaller]
            change = torch.where(fooled[:, None], self.back * change, change)
        return smallest, distance

    def _step(self, problem: Problem, box: UnitBox, change: Tensor) -> Tensor:
        """One step from `change`, and one from the clean clip, onto the linearized boundary."""
        result = problem.value_and_grad(box.clip(change))
        normal = box.flat(result.gradient)
        # The plane normal . z = offset on which the linearized difference of the logits is 0.
        offset = (normal * change).sum(1) - result.loss
        ahead = box.to_plane(change, normal, offset)
        from_clean = box.to_plane(torch.zeros_like(change), normal, offset)
        way = ahead.abs().amax(1).clamp(min=SHORTEST)
        way_from_clean = from_clean.abs().amax(1).clamp(min=SHORTEST)
        weight = (way / (way + way_from_clean)).clamp(max=self.bias)[:, None]
        on = change + self.overshoot * ahead
        return box.clamp(on * (1 - weight) + self.overshoot * from_clean * weight)
