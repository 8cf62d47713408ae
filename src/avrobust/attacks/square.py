"""The Square attack: random search on the logits, in frames by squares, in sounds by windows."""

import math
from typing import final

import torch
from torch import Generator, Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.best import BestAdversarial, not_weaker_than_clean
from avrobust.attacks.losses import margin
from avrobust.attacks.problem import Problem, take
from avrobust.ranges import PositiveFraction, PositiveInt
from avrobust.types import Clip, Modality

# The share of a frame or sound that a proposal changes is halved after these of 10,000 queries.
SCHEDULED_QUERIES = 10_000
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


@final
class Square(Attack):
    """Keeps a random change where the margin rises. Andriushchenko et al. 2020 (arXiv 1912.00049).

    L-infinity. Each proposal sets one place of the perturbation to +eps or -eps. In frames the
    place is a square, the same in all frames of a clip, with a sign for each channel. In a sound
    the place is a window of time, filled with a square wave of random period, because a net on
    waveforms hears of a constant offset only its two ends. If both modalities are attacked the
    proposals alternate. The search starts from vertical stripes and from noise of two values. A
    fooled clip costs no further query.

    Args:
        queries: number of proposals for each clip, the start not counted.
        share: of the frame or sound that the first proposals change.
        rescale_schedule: stretch or shrink the schedule, by which that share is halved, from 10,000
            queries to `queries`, as the paper does; otherwise it is in absolute numbers of queries,
            as in AutoAttack's standard version.

    Raises:
        ValueError: a number is out of range.
    """

    kind = "black_box"
    needs_gradient = False
    norms = ("linf",)

    def __init__(
        self,
        queries: PositiveInt = 5000,
        share: PositiveFraction = 0.8,
        rescale_schedule: bool = False,
    ) -> None:
        self.queries, self.share, self.rescale_schedule = queries, share, rescale_schedule

    @torch.no_grad()
    def perturb(self, problem: Problem) -> Clip:
        best = BestAdversarial(problem.clip)
        index = torch.arange(len(problem), device=problem.label.device)
        _query(best, problem, problem.project(_start(problem)), index)
        attacked = problem.threat.modalities
        part = problem
        for query in range(self.queries):
            if best.fooled[index].any():
                index = best.not_fooled()
                part = problem.take(index)
            if not len(index):
                break
            modality = attacked[query % len(attacked)]
            proposal = _propose(part, take(best.clip, index), modality, self._share(query))
            _query(best, part, part.project(proposal), index)
        return not_weaker_than_clean(problem, best.clip)

    def _share(self, query: int) -> float:
        if self.rescale_schedule:
            query = int(query / self.queries * SCHEDULED_QUERIES)
        return self.share / 2.0 ** sum(query > after for after in HALVED_AFTER)


def _query(best: BestAdversarial, problem: Problem, x: Clip, index: Tensor) -> None:
    logits = problem.logits(x)
    best.update(x, margin(logits, problem.label), problem.fooled(logits), index)


def _start(problem: Problem) -> Clip:
    """Frames in vertical stripes and sounds of noise, every value at plus or minus eps."""
    (audio, visual), threat = problem.clip, problem.threat
    # The sound's draws come before those of the frames: both use the clip's one generator.
    if threat.audio is not None:
        signs = _random_signs(problem, audio.shape[1:], audio)
        audio = audio + threat.audio.eps * threat.audio.scale(audio) * signs
    if threat.visual is not None:
        frames, channels, _, width = visual.shape[1:]
        signs = _random_signs(problem, torch.Size((frames, channels, 1, width)), visual)
        visual = visual + threat.visual.eps * threat.visual.scale(visual) * signs
    return Clip(audio, visual)


def _random_signs(problem: Problem, shape: torch.Size, like: Tensor) -> Tensor:
    """Random signs of this shape for each clip."""
    draws = [torch.rand(shape, generator=g) for g in problem.generator_of_each()]
    return _signs(torch.stack(draws), like)


def _propose(problem: Problem, x: Clip, modality: Modality, share: float) -> Clip:
    """One proposal for each clip: `x` changed in one place of one modality, not projected yet."""
    part, budget = getattr(x, modality).clone(), getattr(problem.threat, modality)
    change = _add_window if modality == "audio" else _add_square
    size = 2 * budget.eps * budget.scale(part)
    for one, generator in zip(part, problem.generator_of_each(), strict=True):
        change(one, size, share, generator)
    return x._replace(**{modality: part})


def _add_square(frames: Tensor, size: Tensor, share: float, generator: Generator) -> None:
    """Adds a random square, with a random sign of each channel, to frames (T, 3, H, W) in place."""
    count, channels, height, width = frames.shape
    side = min(max(round(math.sqrt(share * height * width)), 1), height, width)
    draws = torch.rand(2 + count * channels, generator=generator)
    top, left = int((height - side) * draws[0]), int((width - side) * draws[1])
    signs = _signs(draws[2:], frames).view(count, channels, 1, 1)
    frames[..., top : top + side, left : left + side] += size * signs


def _add_window(sound: Tensor, size: Tensor, share: float, generator: Generator) -> None:
    """Adds a square wave of random place, sign and period to a sound (1, S) in place."""
    samples = sound.shape[-1]
    length = max(round(share * samples), 1)
    draws = torch.rand(3, generator=generator)
    first, half_period = int((samples - length) * draws[0]), int(length ** float(draws[1]))
    time = torch.arange(length, device=sound.device)
    wave = 1 - 2 * (time.div(half_period, rounding_mode="floor") % 2)
    sound[..., first : first + length] += size * _signs(draws[2:], sound) * wave


def _signs(draws: Tensor, like: Tensor) -> Tensor:
    """Uniform draws from [0, 1) as -1 or +1, of the type and on the device of `like`."""
    return (2 * draws - 1).sign().to(like)
