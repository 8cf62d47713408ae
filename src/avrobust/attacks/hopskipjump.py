"""HopSkipJump: along the decision boundary to the clean clip, by predicted labels alone."""

import math
from collections.abc import Callable
from functools import partial
from typing import final

import torch
from torch import Generator, Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.best import not_weaker_than_clean
from avrobust.attacks.problem import Problem
from avrobust.attacks.unit_box import UnitBox
from avrobust.ranges import PositiveInt
from avrobust.types import Clip

CHUNK = 64  # changed versions of a clip that the model gets at once
STARTS = 100  # random clips that are tried at most
LONGEST_HOLD = 12  # they hold a value for less than 2 to the power of this
MARGIN = 1e-3  # by which the outcome lies behind the boundary, as a share of its distance
FIRST_RADIUS = 0.1  # of the first estimate, as a share of the valid values' range
ROUNDING = 4  # the smallest change of a value that an estimate relies on, in float steps at 1


@final
class HopSkipJump(Attack):
    """Estimates the boundary's normal from labels. Chen, Jordan & Wainwright 2020 (1904.02144).

    L-infinity. It asks for no gradient and no logit, so that nothing but the prediction itself can
    mislead it. From random noise that fools the model it goes to the boundary, estimates there in
    which direction the model errs, steps along the sign of that direction, and returns to the
    boundary by bisection. The distance is that of `UnitBox`, in units of the eps of both
    modalities. A clip whose change is within the budget is left alone. A clip whose change is not
    comes back with that change projected on the budget, or clean if this has the higher loss, which
    is the one choice for which logits are looked at; no prediction depends on it.

    Args:
        queries: labels that are asked for each clip at most.
        evaluations: labels of the first estimate; the t-th takes sqrt(t) times as many.

    Raises:
        ValueError: a number is out of range.
    """

    kind = "black_box"
    needs_gradient = False
    norms = ("linf",)

    def __init__(self, queries: PositiveInt = 5000, evaluations: PositiveInt = 100) -> None:
        self.queries, self.evaluations = queries, evaluations

    @torch.no_grad()
    def perturb(self, problem: Problem) -> Clip:
        box = UnitBox.around(problem)
        if box is None:
            return problem.clip
        change = torch.zeros_like(box.low)
        fooled = problem.fooled(problem.logits(problem.clip))
        for i in (~fooled).nonzero().squeeze(1):
            # The label of the clean clip and that of the outcome are queries too.
            search = Search(problem, i, max(self.queries - 2, 0))
            change[i] = self.smallest_change(search)
        return not_weaker_than_clean(problem, problem.project(box.clip(change)))

    def smallest_change(self, search: "Search", enough: float = 1.0) -> Tensor:
        """The smallest change of one clip that was found to fool the model: (N,).

        Args:
            search: of the clip, before its first query.
            enough: the distance in units of eps at which the clip is left alone.

        Returns:
            The change; a random one if no random clip fooled the model.
        """
        change, fooled = search.start()
        if not fooled:
            return change
        best = change = search.to_boundary(change)
        step = 0
        while (1 + MARGIN) * best.abs().max() > enough and search.left > 0:
            step += 1
            distance = change.abs().max()
            count = min(int(self.evaluations * math.sqrt(step)), search.left)
            radius = search.radius(distance, first=step == 1)
            direction = search.error_direction(change, radius, count).sign()
            stepped = search.step(change, direction, distance / math.sqrt(step))
            change = search.to_boundary(stepped)
            if change.abs().max() < best.abs().max():
                best = change
        return search.behind(best)


@final
class Search:
    """Asks for the labels of changed versions of one clip, up to a number of queries.

    Args:
        problem: clips that are attacked.
        index: the position of the one clip, () int64.
        queries: that are allowed.
    """

    def __init__(self, problem: Problem, index: Tensor, queries: int) -> None:
        # Many versions of the clip are asked for at once; its own counter counts each.
        self.copies = problem.take(index.repeat(CHUNK))
        box = UnitBox.around(self.copies)
        assert box is not None
        self.box, self.left = box, queries
        self.low, self.high = box.low[0], box.high[0]
        self.generator: Generator = self.copies.generator_of_each()[0]

    def fooled(self, changes: Tensor) -> Tensor:
        """Whether the model errs on the clip with each of at most CHUNK changes: (K, N) -> (K,)."""
        self.left -= len(changes)
        rows = torch.arange(len(changes), device=changes.device)
        part, box = self.copies.take(rows), self.box.take(rows)
        return part.fooled(part.logits(box.clip(changes)))

    def start(self) -> tuple[Tensor, bool]:
        """A random change, (N,), and whether it fools the model.

        Uniform draws, as in the paper, take turns with draws of the bounds alone, which hold for 1,
        2, 4 and so on values: white noise is one class to some models, whatever the draw. The first
        change that fools is moved towards the clean clip; if none does, the last one is returned.
        """
        noise = torch.zeros_like(self.low)
        positions = torch.arange(len(noise), device=noise.device)
        for attempt in range(min(STARTS, self.left)):
            share = self._uniform(1)[0]
            if attempt % 2:
                hold = 2 ** (attempt // 2 % LONGEST_HOLD)
                share = share.round()[positions // hold]
            noise = self.low + (self.high - self.low) * share
            if self.fooled(noise[None])[0]:
                return self._bisect(1.0, 1e-3, partial(torch.mul, noise)), True
        return noise, False

    def to_boundary(self, change: Tensor) -> Tensor:
        """The smallest L-infinity ball, by bisection, whose cut of the change fools the model."""
        distance = float(change.abs().max())
        # The paper's tolerance, unless float numbers have no values in between.
        share = max(1 / change.numel() ** 2, torch.finfo(change.dtype).eps)
        return self._bisect(distance, distance * share, lambda most: change.clamp(-most, most))

    def behind(self, change: Tensor) -> Tensor:
        """The change a little enlarged, if it then still fools the model.

        On the boundary itself, rounding in another batch could turn the prediction back.
        """
        enlarged = self._valid((1 + MARGIN) * change)
        return enlarged if self.fooled(enlarged[None])[0] else change

    def radius(self, distance: Tensor, *, first: bool) -> Tensor:
        """The L2 norm of the random changes of an estimate, in units of eps."""
        size = len(self.low)
        width = (self.high - self.low).mean()
        if first:
            return FIRST_RADIUS * width
        # Smaller changes of a value than float numbers have steps would be rounded away.
        smallest = ROUNDING * torch.finfo(width.dtype).eps * width * math.sqrt(size)
        return torch.maximum(distance / size, smallest)

    def error_direction(self, change: Tensor, radius: Tensor, count: int) -> Tensor:
        """A Monte Carlo estimate of the direction in which the model errs: (N,).

        Equation 16 of the paper, with the mean label as its baseline.
        """
        total, weighted, errors = torch.zeros_like(change), torch.zeros_like(change), 0
        for first in range(0, count, CHUNK):
            size = min(CHUNK, count - first)
            draws = 2 * self._uniform(size) - 1
            draws = draws / draws.norm(dim=1, keepdim=True)
            tried = self._valid(change + radius * draws)
            draws = (tried - change) / radius  # as far as the values stay valid
            fooled = self.fooled(tried)
            total += draws.sum(0)
            weighted += draws[fooled].sum(0) - draws[~fooled].sum(0)
            errors += int(fooled.sum())
        mean = 2 * errors / count - 1
        return weighted if abs(mean) == 1 else weighted - mean * total

    def step(self, change: Tensor, direction: Tensor, length: Tensor) -> Tensor:
        """The longest of `length`, its half, its quarter and so on that still fools the model."""
        while self.left > 0:
            stepped = self._valid(change + length * direction)
            if torch.equal(stepped, change) or self.fooled(stepped[None])[0]:
                return stepped
            length = length / 2
        return change

    def _bisect(
        self, high: float, tolerance: float, change_at: Callable[[float], Tensor]
    ) -> Tensor:
        """The change at the smallest value from 0 to `high` that fools; that at `high` does."""
        low = 0.0
        while high - low > tolerance and self.left > 0:
            middle = (low + high) / 2
            if self.fooled(change_at(middle)[None])[0]:
                high = middle
            else:
                low = middle
        return change_at(high)

    def _valid(self, changes: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(changes, self.low), self.high)

    def _uniform(self, count: int) -> Tensor:
        draws = torch.rand(count, len(self.low), generator=self.generator, dtype=self.low.dtype)
        return draws.to(self.low.device)
