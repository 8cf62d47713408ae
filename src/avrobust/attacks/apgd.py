"""Auto-PGD: gradient ascent whose step sizes choose themselves, clip by clip."""

from typing import Literal, NamedTuple, final

import torch
from torch import Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.losses import dlr, dlr_targeted
from avrobust.attacks.problem import Answer, Problem, take
from avrobust.attacks.search import Worst, not_better_off, start, where
from avrobust.errors import UserError
from avrobust.types import Clip

Loss = Literal["objective", "dlr", "dlr_targeted"]
NEEDED = {"objective": 2, "dlr": 3, "dlr_targeted": 4}  # classes that each loss compares


@final
class APGD(Attack):
    """Momentum ascent from 2 eps, halved at checkpoints where the loss stalls. Croce & Hein 2020 (arXiv 2003.01690).

    Both inputs step at once, each by the same share of its own budget; share and checkpoints are
    each clip's own. Of a clip that was fooled the fooling iterate with the highest loss comes back,
    of others the iterate with the highest.

    Args:
        steps: gradient steps of one run; the checkpoints follow from it.
        loss: "objective" (cross-entropy unless a defense declares another), "dlr" or
            "dlr_targeted".
        targets: how many of the likeliest wrong classes the targeted loss aims at, one run each.
        restarts: how many random starts, each for the clips that still stand.
        stop: leave a clip alone as soon as it is fooled: the same verdict for less work.

    Raises:
        ValueError: one of the numbers is below 1.
    """

    def __init__(
        self,
        steps: int = 100,
        loss: Loss = "objective",
        targets: int = 9,
        restarts: int = 1,
        stop: bool = False,
    ) -> None:
        if min(steps, targets, restarts) < 1:
            raise ValueError(
                f"steps, targets and restarts must be at least 1, not {steps}, {targets} and {restarts}"
            )
        self.steps, self.loss, self.targets, self.restarts, self.stop = (
            steps,
            loss,
            targets,
            restarts,
            stop,
        )
        self.aims = loss == "objective"

    def refuse(self, classes: int) -> None:
        if classes < NEEDED[self.loss]:
            raise UserError(
                f"apgd with loss={self.loss} needs at least {NEEDED[self.loss]} classes, not {classes}"
            )

    def perturb(self, problem: Problem) -> Clip:
        logits = problem.logits(problem.clip)
        self.refuse(logits.shape[1])
        goals = self._goals(problem, logits)
        worst = Worst(problem.clip)
        for goal in goals * self.restarts:
            index = (~worst.fooled).nonzero().squeeze(1)
            if len(index):
                self._offer(worst, goal.take(index), index)
        return not_better_off(problem, worst.clip)

    def _offer(self, worst: Worst, problem: Problem, index: Tensor) -> None:
        found = self._run(problem)
        logits = problem.logits(found)
        worst.offer(found, problem.harm(logits), problem.fooled(logits), index)

    def _goals(self, problem: Problem, logits: Tensor) -> list[Problem]:
        """The same clips with each loss that is to be maximized; the targets are the likeliest of the other classes."""
        if self.loss == "objective":
            return [problem]
        if self.loss == "dlr":
            return [problem.towards(dlr)]
        others = logits.scatter(1, problem.label.unsqueeze(1), -torch.inf).argsort(
            1, descending=True
        )  # (B, C)
        count = min(self.targets, logits.shape[1] - 1)
        return [problem.towards(dlr_targeted, others[:, i]) for i in range(count)]

    def _run(self, problem: Problem) -> Clip:
        """One random start, followed for all the steps."""
        x = start(problem, fill=True)
        answer = problem.answer(x)
        worst = Worst(x)
        worst.offer(x, answer.loss, problem.fooled(answer.logits))
        state, index = _begin(x, answer), torch.arange(len(problem), device=x.audio.device)
        window = left = max(int(0.22 * self.steps), 1)
        for i in range(self.steps):
            if self.stop and worst.fooled[index].any():
                stands = (~worst.fooled[index]).nonzero().squeeze(1)
                problem, state, index = problem.take(stands), state.take(stands), index[stands]
            if not len(index):
                break
            x = _moved(problem, state, 0.75 if i else 1.0)
            answer = problem.answer(x)
            worst.offer(x, answer.loss, problem.fooled(answer.logits), index)
            state, left = _looked(state, x, answer), left - 1
            if left == 0:
                state = _checked(state, 0.75 * window)
                window = left = max(
                    window - max(int(0.03 * self.steps), 1), max(int(0.06 * self.steps), 1)
                )
        return worst.clip


class _State(NamedTuple):
    """Where a run stands: every entry has a row for each clip."""

    x: Clip
    before: Clip  # the iterate before x
    gradient: Clip  # at x
    best: Clip  # the iterate with the highest loss so far, which need not be one that fools
    best_gradient: Clip
    best_loss: Tensor  # (B,)
    loss: Tensor  # (B,) at x
    rises: Tensor  # (B,) how often the loss rose since the last checkpoint
    fraction: Tensor  # (B,) step size as a share of eps
    last_best: Tensor  # (B,) the highest loss at the last checkpoint
    halved: Tensor  # (B,) bool: whether the step was halved there

    def take(self, index: Tensor) -> "_State":
        """The rows at `index`."""
        return _State(*(take(v, index) if isinstance(v, Clip) else v[index] for v in self))  # type: ignore[arg-type]


def _begin(x: Clip, answer: Answer) -> _State:
    zeros, none = torch.zeros_like(answer.loss), torch.ones_like(answer.loss, dtype=torch.bool)
    return _State(
        x=x,
        before=x,
        gradient=answer.gradient,
        best=x,
        best_gradient=answer.gradient,
        best_loss=answer.loss,
        loss=zeros,  # so the first comparison is with 0 and not with the start's loss, as in the authors' code
        rises=zeros,
        fraction=torch.full_like(zeros, 2.0),
        last_best=answer.loss,
        halved=none,
    )


def _moved(problem: Problem, state: _State, share: float) -> Clip:
    """The next iterate: `share` of the projected gradient step, the rest of it the last move again."""
    ahead = problem.step(state.x, state.gradient, state.fraction)
    triples = zip(state.x, ahead, state.before, strict=True)
    return problem.project(
        Clip(*(x + (a - x) * share + (x - b) * (1 - share) for x, a, b in triples))
    )


def _looked(state: _State, x: Clip, answer: Answer) -> _State:
    """The state at the next iterate `x`."""
    higher = answer.loss > state.best_loss
    return state._replace(
        x=x,
        before=state.x,
        gradient=answer.gradient,
        best=where(higher, x, state.best),
        best_gradient=where(higher, answer.gradient, state.best_gradient),
        best_loss=torch.where(higher, answer.loss, state.best_loss),
        loss=answer.loss,
        rises=state.rises + (answer.loss > state.loss),
    )


def _checked(state: _State, enough: float) -> _State:
    """A checkpoint: where the loss rose too seldom, or has stalled, the step is halved and the best iterate resumed."""
    stalled = ~state.halved & (state.last_best >= state.best_loss)
    halved = (state.rises <= enough) | stalled
    return state._replace(
        x=where(halved, state.best, state.x),
        gradient=where(halved, state.best_gradient, state.gradient),
        rises=torch.zeros_like(state.rises),
        fraction=torch.where(halved, state.fraction / 2, state.fraction),
        last_best=state.best_loss,
        halved=halved,
    )
