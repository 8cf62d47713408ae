"""Auto-PGD: gradient ascent that adapts its step sizes, clip by clip."""

from typing import Literal, NamedTuple, final

import torch
from torch import Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.best import BestAdversarial, not_weaker_than_clean, where
from avrobust.attacks.gradients import LossGradient
from avrobust.attacks.losses import dlr, dlr_targeted, likeliest_wrong
from avrobust.attacks.problem import Problem, take
from avrobust.attacks.restarts import random_start
from avrobust.errors import UserError
from avrobust.ranges import PositiveInt
from avrobust.types import Clip

Loss = Literal["objective", "dlr", "dlr_targeted"]
# How many classes each loss compares.
CLASSES_NEEDED = {"objective": 2, "dlr": 3, "dlr_targeted": 4}


@final
class APGD(Attack):
    """Momentum ascent from 2 eps, halved at checkpoints where the loss stalls.

    Croce & Hein 2020 (arXiv 2003.01690). Both inputs step at once, each by the same share of its
    own budget; share and checkpoints are each clip's own. A fooled clip comes back as the fooling
    iterate with the highest loss, any other clip as the iterate with the highest loss.

    Args:
        steps: gradient steps of one run; the checkpoints follow from them.
        loss: "objective" (cross-entropy unless a defense declares another), "dlr" or
            "dlr_targeted".
        targets: number of likeliest wrong classes that the targeted loss leads to, one run each.
        restarts: number of random starts, each for the clips that are not fooled yet.
        stop: end the run of a clip as soon as it is fooled: the same verdict for less work.

    Raises:
        ValueError: a number is out of range.
    """

    kind = "strong"

    def __init__(
        self,
        steps: PositiveInt = 100,
        loss: Loss = "objective",
        targets: PositiveInt = 9,
        restarts: PositiveInt = 1,
        stop: bool = False,
    ) -> None:
        self.steps, self.loss, self.targets = steps, loss, targets
        self.restarts, self.stop = restarts, stop
        self.supports_targeted = loss == "objective"

    def validate(self, classes: int) -> None:
        needed = CLASSES_NEEDED[self.loss]
        if classes < needed:
            raise UserError(
                f"apgd with loss={self.loss} needs at least {needed} classes, not {classes}"
            )

    def perturb(self, problem: Problem) -> Clip:
        clean_logits = problem.logits(problem.clip)
        self.validate(clean_logits.shape[1])
        best = BestAdversarial(problem.clip)
        for run in self._runs(problem, clean_logits) * self.restarts:
            index = best.not_fooled()
            if len(index):
                part = run.take(index)
                x = self._ascend(part)
                logits = part.logits(x)
                best.update(x, part.adversarial_loss(logits), part.fooled(logits), index)
        return not_weaker_than_clean(problem, best.clip)

    def _runs(self, problem: Problem, clean_logits: Tensor) -> list[Problem]:
        """The problem with each loss that is to be maximized, one run each."""
        if self.loss == "objective":
            return [problem]
        if self.loss == "dlr":
            return [problem.with_loss(dlr)]
        targets = likeliest_wrong(clean_logits, problem.label, self.targets)
        return [problem.with_loss(dlr_targeted, target) for target in targets.unbind(1)]

    def _ascend(self, problem: Problem) -> Clip:
        """One random start, followed for all the steps."""
        x = random_start(problem, fill=True)
        result = problem.value_and_grad(x)
        best = BestAdversarial(x)
        best.update(x, result.loss, problem.fooled(result.logits))
        state, index = _start(x, result), torch.arange(len(problem), device=x.audio.device)
        window = steps_left = max(int(0.22 * self.steps), 1)
        for step in range(self.steps):
            if self.stop and best.fooled[index].any():
                rows = (~best.fooled[index]).nonzero().squeeze(1)
                problem, state, index = problem.take(rows), state.take(rows), index[rows]
            if not len(index):
                break
            x = _next_iterate(problem, state, 0.75 if step else 1.0)
            result = problem.value_and_grad(x)
            best.update(x, result.loss, problem.fooled(result.logits), index)
            state, steps_left = _after_step(state, x, result), steps_left - 1
            if steps_left == 0:
                state = _checkpoint(state, 0.75 * window)
                # Windows get shorter by 3 % of the steps each, down to 6 %.
                shorter = window - max(int(0.03 * self.steps), 1)
                window = steps_left = max(shorter, max(int(0.06 * self.steps), 1))
        return best.clip


class _State(NamedTuple):
    """The state of a run: every entry has a row for each clip."""

    x: Clip
    previous: Clip  # the iterate before x
    gradient: Clip  # at x
    best: Clip  # the iterate with the highest loss so far, which need not be one that fools
    best_gradient: Clip
    best_loss: Tensor  # (B,)
    loss: Tensor  # (B,) at x
    rises: Tensor  # (B,) how often the loss rose since the last checkpoint
    fraction: Tensor  # (B,) step size as a share of eps
    best_at_checkpoint: Tensor  # (B,) the highest loss at the last checkpoint
    halved: Tensor  # (B,) bool: whether the step was halved at the last checkpoint

    def take(self, index: Tensor) -> "_State":
        """The rows at `index`."""
        rows = [take(v, index) if isinstance(v, Clip) else v[index] for v in self]
        return _State(*rows)  # type: ignore[arg-type]


def _start(x: Clip, result: LossGradient) -> _State:
    zeros = torch.zeros_like(result.loss)
    return _State(
        x=x,
        previous=x,
        gradient=result.gradient,
        best=x,
        best_gradient=result.gradient,
        best_loss=result.loss,
        # The first comparison is with 0 and not with the start's loss, as in the authors' code.
        loss=zeros,
        rises=zeros,
        fraction=torch.full_like(zeros, 2.0),
        best_at_checkpoint=result.loss,
        halved=torch.ones_like(result.loss, dtype=torch.bool),
    )


def _next_iterate(problem: Problem, state: _State, share: float) -> Clip:
    """The next iterate: `share` of the projected gradient step, and of the last move the rest."""
    ahead = problem.step(state.x, state.gradient, state.fraction)
    moved = []
    for modality in Clip._fields:
        x, previous = getattr(state.x, modality), getattr(state.previous, modality)
        step = getattr(ahead, modality) - x
        moved.append(x + step * share + (x - previous) * (1 - share))
    return problem.project(Clip(*moved))


def _after_step(state: _State, x: Clip, result: LossGradient) -> _State:
    """The state at the next iterate `x`."""
    higher = result.loss > state.best_loss
    return state._replace(
        x=x,
        previous=state.x,
        gradient=result.gradient,
        best=where(higher, x, state.best),
        best_gradient=where(higher, result.gradient, state.best_gradient),
        best_loss=torch.where(higher, result.loss, state.best_loss),
        loss=result.loss,
        rises=state.rises + (result.loss > state.loss),
    )


def _checkpoint(state: _State, enough_rises: float) -> _State:
    """Halves the step of clips whose loss stalls; they go on from their best iterate."""
    stalled = ~state.halved & (state.best_at_checkpoint >= state.best_loss)
    halved = (state.rises <= enough_rises) | stalled
    return state._replace(
        x=where(halved, state.best, state.x),
        gradient=where(halved, state.best_gradient, state.gradient),
        rises=torch.zeros_like(state.rises),
        fraction=torch.where(halved, state.fraction / 2, state.fraction),
        best_at_checkpoint=state.best_loss,
        halved=halved,
    )
