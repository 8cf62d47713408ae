"""Where iterative attacks start, and how often."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import Tensor

from avrobust.attacks.best import BestAdversarial
from avrobust.attacks.gradients import LossGradient
from avrobust.attacks.problem import Problem
from avrobust.ranges import PositiveInt
from avrobust.types import Clip
from avrobust.utils.arguments import checks_arguments

# Shows an iterate, with the model's loss and logits there, to the keeper of the best one.
OnIterate = Callable[[Clip, LossGradient], None]

# (problem, start, loss and gradient at the start, report or None) -> the last iterate.
AttackLoop = Callable[[Problem, Clip, LossGradient, OnIterate | None], Clip]


@final
@checks_arguments
@dataclass(frozen=True)
class Restarts:
    """Runs an attack loop from one start or from several.

    A clip that one start has fooled gets no further start. Each clip draws from its own generator,
    so that a result does not depend on which other clips are still attacked.

    Args:
        random_start: start at a uniformly drawn point of the budget, which needs a generator for
            each clip; otherwise at the clean clip.
        restarts: number of starts at most; the best outcome of each clip is kept.
        best: keep the best of all iterates, and not the best of the last iterates: an iterate that
            fools the model before one that does not, then the one with the higher loss.

    Raises:
        ValueError: restarts is below 1, or above 1 without random_start.
    """

    random_start: bool = False
    restarts: PositiveInt = 1
    best: bool = False

    def __post_init__(self) -> None:
        if self.restarts > 1 and not self.random_start:
            raise ValueError(f"restarts must be 1 without random_start, not {self.restarts}")

    def run(self, problem: Problem, loop: AttackLoop) -> Clip:
        """The outcome of `loop` on each clip.

        Args:
            problem: the clips and the threat.
            loop: from a problem and a start to the last iterate. It reports every iterate if it is
                given a `OnIterate`.
        """
        if self.restarts == 1 and not self.best:
            return loop(problem, *self._start(problem), None)
        best = BestAdversarial(problem.clip)
        for _ in range(self.restarts):
            index = best.not_fooled()
            if not len(index):
                break
            self._run_once(problem.take(index), loop, best, index)
        return best.clip

    def _run_once(
        self, problem: Problem, loop: AttackLoop, best: BestAdversarial, index: Tensor
    ) -> None:
        """One start of the clips at `index`, which `problem` is about."""

        def report(x: Clip, result: LossGradient) -> None:
            best.update(x, result.loss, problem.fooled(result.logits), index)

        last = loop(problem, *self._start(problem), report if self.best else None)
        loss, logits = problem.loss_and_logits(last)
        best.update(last, loss, problem.fooled(logits), index)

    def _start(self, problem: Problem) -> tuple[Clip, LossGradient]:
        if not self.random_start:
            return problem.clip, problem.clean_value_and_grad()
        start = random_start(problem)
        return start, problem.value_and_grad(start)


def random_start(problem: Problem, *, fill: bool = False) -> Clip:
    """A random point of each clip's budget, drawn from that clip's own generator.

    Args:
        problem: the clips and their generators.
        fill: scale a uniform draw until its largest value is eps, as AutoAttack does.

    Raises:
        ValueError: there is not one generator for each clip.
    """
    generators = problem.generator_of_each()
    (audio, visual), threat = problem.clip, problem.threat
    # The sound's draws come before those of the frames: both use the clip's one generator.
    if threat.audio is not None:
        audio = audio + threat.audio.noise(audio, generators, fill=fill)
    if threat.visual is not None:
        visual = visual + threat.visual.noise(visual, generators, fill=fill)
    return problem.project(Clip(audio, visual))
