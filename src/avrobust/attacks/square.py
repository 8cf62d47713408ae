"""The Square attack: random search on the logits, in frames by squares and in sounds by windows of time."""

import math
from typing import final

import torch
from torch import Generator, Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.losses import margin
from avrobust.attacks.problem import Problem, take
from avrobust.attacks.search import Worst, not_better_off
from avrobust.types import Clip

# The share of a frame or sound that a proposal changes is halved after these of 10,000 queries;
# others are scaled.
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


@final
class Square(Attack):
    """Keeps a random change where the margin falls. Andriushchenko et al. 2020 (arXiv 1912.00049), L-infinity.

    Each proposal sets one place of the perturbation to +eps or -eps: in frames a square, at one
    place in all frames of a clip, with a sign for each channel; in a sound a window of time, filled
    with a square wave of random period, as nets on waveforms hear a constant offset at its two ends
    alone. If both are attacked the proposals take turns. It starts from vertical stripes and from
    noise of two values. A fooled clip costs no further query.

    Args:
        queries: how often the model is asked about a clip, the start not counted.
        share: of the frame or sound that the first proposals change.

    Raises:
        ValueError: no query, or no share in (0, 1].
    """

    needs_gradient = False
    norms = ("linf",)

    def __init__(self, queries: int = 5000, share: float = 0.8) -> None:
        if queries < 1 or not 0 < share <= 1:
            raise ValueError(
                f"queries must be at least 1 and share in (0, 1], not {queries} and {share}"
            )
        self.queries, self.share = queries, share

    @torch.no_grad()
    def perturb(self, problem: Problem) -> Clip:
        worst, index = Worst(problem.clip), torch.arange(len(problem), device=problem.label.device)
        _ask(worst, problem, problem.project(_begin(problem)), index)
        attacked = [
            name
            for name, budget in zip(Clip._fields, problem.threat.budgets, strict=True)
            if budget
        ]
        part = problem
        for query in range(self.queries):
            if worst.fooled[index].any():
                index = (~worst.fooled).nonzero().squeeze(1)
                part = problem.take(index)
            if not len(index):
                break
            changed = _changed(
                part, take(worst.clip, index), attacked[query % len(attacked)], self._share(query)
            )
            _ask(worst, part, part.project(changed), index)
        return not_better_off(problem, worst.clip)

    def _share(self, query: int) -> float:
        scaled = int(query / self.queries * 10000)
        return self.share / 2.0 ** sum(scaled > after for after in HALVED_AFTER)


def _ask(worst: Worst, problem: Problem, x: Clip, index: Tensor) -> None:
    logits = problem.logits(x)
    worst.offer(x, margin(logits, problem.label), problem.fooled(logits), index)


def _begin(problem: Problem) -> Clip:
    """Frames in vertical stripes and sounds of noise, everything at plus or minus eps."""
    shapes = (
        problem.clip.audio.shape[1:],
        (*problem.clip.visual.shape[1:3], 1, problem.clip.visual.shape[4]),
    )
    parts = []
    for x, shape, budget in zip(problem.clip, shapes, problem.threat.budgets, strict=True):
        if budget is not None:
            drawn = torch.stack(
                [torch.rand(shape, generator=g) for g in problem.generator_of_each()]
            )
            x = x + budget.eps * budget.unit_like(x) * _signs(drawn, x)
        parts.append(x)
    return Clip(*parts)


def _changed(problem: Problem, x: Clip, modality: str, share: float) -> Clip:
    """One proposal for each clip: `x` changed in one place of one modality, not projected yet."""
    part, budget = getattr(x, modality).clone(), getattr(problem.threat, modality)
    change = _window if modality == "audio" else _square
    size = 2 * budget.eps * budget.unit_like(part)
    for one, generator in zip(part, problem.generator_of_each(), strict=True):
        change(one, size, share, generator)
    return x._replace(**{modality: part})


def _square(frames: Tensor, size: Tensor, share: float, generator: Generator) -> None:
    """Adds a random square, with a random sign of each channel, to frames (T, 3, H, W) in place."""
    count, channels, height, width = frames.shape
    side = min(max(round(math.sqrt(share * height * width)), 1), height, width)
    drawn = torch.rand(2 + count * channels, generator=generator)
    top, left = int((height - side) * drawn[0]), int((width - side) * drawn[1])
    signs = _signs(drawn[2:], frames).view(count, channels, 1, 1)
    frames[..., top : top + side, left : left + side] += size * signs


def _window(sound: Tensor, size: Tensor, share: float, generator: Generator) -> None:
    """Adds a square wave of random place, sign and period to a sound (1, S) in place."""
    samples = sound.shape[-1]
    length = max(round(share * samples), 1)
    drawn = torch.rand(3, generator=generator)
    first, half = int((samples - length) * drawn[0]), int(length ** float(drawn[1]))
    wave = 1 - 2 * (torch.arange(length, device=sound.device).div(half, rounding_mode="floor") % 2)
    sound[..., first : first + length] += size * _signs(drawn[2:], sound) * wave


def _signs(drawn: Tensor, like: Tensor) -> Tensor:
    """Uniform draws from [0, 1) as -1 or +1, of the type and on the device of `like`."""
    return (2 * drawn - 1).sign().to(like)
