"""What iterative attacks share: where they start, how often, and which iterate they hand back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from avrobust.attacks.problem import Answer, Problem, put
from avrobust.threats import each
from avrobust.types import Clip


@final
class Worst:
    """The worst of what was offered, clip by clip: one that fools before one that does not, then the highest loss."""

    def __init__(self, clip: Clip) -> None:
        device = clip.audio.device
        self.clip = clip
        self.fooled = torch.zeros(len(clip.audio), dtype=torch.bool, device=device)
        self.loss = torch.full((len(clip.audio),), -torch.inf, dtype=torch.float64, device=device)

    def offer(self, x: Clip, loss: Tensor, fooled: Tensor, index: Tensor | None = None) -> Tensor:
        """Takes what is worse, and says of which clips that was: (B,) bool.

        Args:
            x: the offered clips, (K, ...).
            loss: theirs, (K,).
            fooled: whether they fool, (K,) bool.
            index: whose versions they are, (K,) int64; all in order if it is not given.
        """
        loss = loss.double()
        if index is not None:
            x, loss = put(self.clip, index, x), self.loss.index_copy(0, index, loss)
            fooled = self.fooled.index_copy(0, index, fooled)
        better = (fooled & ~self.fooled) | ((fooled == self.fooled) & (loss > self.loss))
        self.clip = where(better, x, self.clip)
        self.loss = torch.where(better, loss, self.loss)
        self.fooled = self.fooled | fooled
        return better


Offer = Callable[
    [Clip, Answer], None
]  # shows an iterate, with what the model said there, to whoever keeps the worst


@final
@dataclass(frozen=True)
class Search:
    """Runs an iterative attack from one or several starts.

    A clip that one start has fooled gets no further one, so that what comes back is the worst of
    the starts that a clip has had. Each draws from its own generator: which other clips still stand
    changes nothing.

    Args:
        random_start: begin at a uniformly drawn point of the budget; needs a generator for each
            clip.
        restarts: how many starts at most; the worst outcome of each clip is kept.
        best: hand back the worst iterate of those starts and not the worst of their last ones: one
            that fools before one that does not, then the one with the highest loss.

    Raises:
        ValueError: several starts that would all be the same one.
    """

    random_start: bool = False
    restarts: int = 1
    best: bool = False

    def __post_init__(self) -> None:
        if self.restarts < 1 or (self.restarts > 1 and not self.random_start):
            raise ValueError(
                f"restarts must be at least 1, and 1 without random_start; it is {self.restarts}"
            )

    def run(self, problem: Problem, climb: Callable[[Problem, Clip, Offer | None], Clip]) -> Clip:
        """The outcome of `climb`, a function from problem and start to the last iterate.

        Its third argument, if there is one, wants to be offered every iterate.
        """
        if self.restarts == 1 and not self.best:
            return climb(problem, self._start(problem), None)
        worst = Worst(problem.clip)
        for _ in range(self.restarts):
            index = (~worst.fooled).nonzero().squeeze(1)
            if not len(index):
                break
            self._once(problem.take(index), climb, worst, index)
        return worst.clip

    def _once(
        self,
        problem: Problem,
        climb: Callable[[Problem, Clip, Offer | None], Clip],
        worst: Worst,
        index: Tensor,
    ) -> None:
        """One start of the clips at `index`."""

        def offer(x: Clip, answer: Answer) -> None:
            worst.offer(x, answer.loss, problem.fooled(answer.logits), index)

        last = climb(problem, self._start(problem), offer if self.best else None)
        loss, logits = problem.judge(last)
        worst.offer(last, loss, problem.fooled(logits), index)

    def _start(self, problem: Problem) -> Clip:
        return start(problem) if self.random_start else problem.clip


def start(problem: Problem, *, fill: bool = False) -> Clip:
    """A random point of each clip's budget, from that clip's own generator.

    Args:
        problem: clips and their generators.
        fill: scale what was drawn until it reaches the end of the budget, as AutoAttack does.

    Raises:
        ValueError: there is not one generator for each clip.
    """
    generators = problem.generator_of_each()
    pairs = zip(problem.clip, problem.threat.budgets, strict=True)
    return problem.project(
        Clip(*(x if b is None else x + b.noise(x, generators, fill=fill) for x, b in pairs))
    )


def not_better_off(problem: Problem, x: Clip) -> Clip:
    """`x`, but the clean clip where that is the worse of the two: losses other than cross-entropy can go astray."""
    worst = Worst(problem.clip)
    for clip in (problem.clip, x):
        logits = problem.logits(clip)
        worst.offer(clip, problem.harm(logits), problem.fooled(logits))
    return worst.clip


def where(mask: Tensor, x: Clip, other: Clip) -> Clip:
    """The clips of `x` where mask, (B,) bool, is true, and else those of `other`."""
    return Clip(*(torch.where(each(mask, a), a, b) for a, b in zip(x, other, strict=True)))


def positive_steps(steps: int, step: float) -> tuple[int, float]:
    """The two settings that iterative attacks share.

    Raises:
        ValueError: steps or step is not positive.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if not step > 0:
        raise ValueError(f"step must be a positive fraction of eps, not {step}")
    return steps, step
