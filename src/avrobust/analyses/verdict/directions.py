"""Compares what a gradient predicts with what the loss does.

The change of the loss along a direction d is predicted by the gradient, <g, d>, and measured by
central differences, (L(x + d) - L(x - d)) / 2. Each direction moves every value of one stratum of
one modality by plus or minus a part of eps: with random signs, and with those of the gradient, as
an attack does. A stratum holds coordinates of similar gradient, so that the many weak coordinates,
which an L-infinity attack uses as much as the few strong ones, are looked at as well.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from avrobust.analyses.verdict.neighborhood import Neighborhood
from avrobust.attacks.problem import Problem
from avrobust.types import Clip, Modality
from avrobust.utils.randomness import generator

SCALES = (1 / 8, 1 / 32)  # of eps: a step of the probe's descent, and a quarter of it
LEAST_CORRELATION = 0.7  # of predicted and measured changes; trained honest models have 0.9 to 1
LEAST_GAIN = 0.4  # of a step along the gradient's signs; trained honest models have 0.6 to 1
LEAST_SHARE = 0.05  # of all gain: a stratum of less is not worth an accusation
STRATA = (0.5, 0.9, 1.0)  # upper ends, as shares of the coordinates in the order of |gradient|
CLIPS = 32  # of a condition that are looked at
MOST_NOISE = 0.5  # share of the measured squares; beyond it they say nothing
SOME_NOISE = 0.05  # the share from which losses are averaged; rounding explains at most 0.02
REPEATS = 8
TINY = 1e-30

Combine = Callable[[list[Tensor]], Tensor]


class Directions(NamedTuple):
    """Predicted and measured changes of K clips at P points, in S strata of one modality.

    The first three are means over several random directions, the last two those of one step along
    the signs of the gradient.
    """

    product: Tensor  # (K, P, S): predicted times measured
    predicted: Tensor  # (K, P, S): predicted, squared
    measured: Tensor  # (K, P, S): measured, squared
    noise: Tensor  # (K, P): what rounding or seeded noise adds to `measured`
    predicted_gain: Tensor  # (K, P, S)
    measured_gain: Tensor  # (K, P, S)


class Agreement(NamedTuple):
    """How well a modality's gradient predicts the loss."""

    correlation: float  # of random directions at the worst point; 1 for an exact gradient
    gain: float  # of the gradient's signs at the worst point and stratum; 1 for an exact gradient
    noise: float  # share of the measured squares that is rounding or seeded noise

    @property
    def margin(self) -> float:
        """How far the gradient is above both limits; below 0 if it is taken for wrong."""
        return min(self.correlation - LEAST_CORRELATION, self.gain - LEAST_GAIN)


def look(problem: Problem, modality: Modality, points: Sequence[Clip]) -> Directions:
    """Measures directions of one modality at some points.

    A curved loss is no wrong gradient, so that a low correlation or gain is measured again at a
    smaller scale, and the better scale counts.

    Args:
        problem: the clips, the threat and the loss.
        modality: that the directions move.
        points: in the budget.
    """
    best = _look(problem, modality, points, SCALES[0])
    for scale in SCALES[1:]:
        result = agreement(best)
        if result.margin >= 0 or result.noise > MOST_NOISE:
            break
        smaller = _look(problem, modality, points, scale)
        # Smaller changes drown in noise first, and what drowns says nothing for the gradient.
        if agreement(smaller).noise > MOST_NOISE:
            break
        if agreement(smaller).margin > result.margin:
            best = smaller
    return best


def _look(problem: Problem, modality: Modality, points: Sequence[Clip], scale: float) -> Directions:
    """Measures directions of one scale.

    Where some of what is measured is noise, losses and gradients are averaged over `REPEATS` tiny
    changes of the clips, as an attacker would average over noise.
    """
    count = math.ceil(CLIPS / len(problem))  # few clips get more directions each
    for repeats in (1, REPEATS):
        rng = generator(0, "directions", modality, *problem.label.tolist())
        nears = [Neighborhood(problem, modality, x, rng, scale, repeats) for x in points]
        randoms = [_random_changes(near, count) for near in nears]
        at_points = []
        for near, changes in zip(nears, randoms, strict=True):
            at_points.append(Directions(*changes, *_gains(near)))
        directions = _combined(at_points, _beside)
        if agreement(directions).noise <= SOME_NOISE:
            break
    return directions


def joined_directions(parts: Sequence[Directions]) -> Directions:
    """The directions of several batches as one."""
    return _combined(parts, torch.cat)


def agreement(directions: Directions) -> Agreement:
    """How well predicted and measured changes agree, each clip counting the same.

    The correlation of each stratum is weighted by what an attack could gain there at most: the
    root of its size times the measured variance. What a step along the gradient's signs gains is
    compared in each stratum with the size of random changes: a right gradient gains as many times
    that size as it predicts. No limit on the gradient's own size comes in, so that strata whose
    gradient was made small count as well.
    """
    size = directions.measured.mean((1, 2), keepdim=True)
    alive = (size > 0) | (directions.predicted.mean((1, 2), keepdim=True) > 0)
    predicted_size = directions.predicted.mean((1, 2), keepdim=True).clamp(min=TINY)
    size = size.clamp(min=TINY)
    count = alive.sum().clamp(min=1)
    product = (directions.product / (size * predicted_size).sqrt()).sum(0) / count
    predicted_gain = (directions.predicted_gain / predicted_size.sqrt()).sum(0) / count
    measured_gain = (directions.measured_gain / size.sqrt()).sum(0) / count
    gain_size = (directions.measured_gain.abs() / size.sqrt()).sum(0) / count
    predicted = (directions.predicted / predicted_size).sum(0) / count
    measured = (directions.measured / size).sum(0) / count
    noise = (directions.noise / size[..., 0]).sum(0) / count
    signal = (measured - noise[:, None]).clamp(min=0)
    correlation = product / (predicted * signal).sqrt().clamp(min=TINY)
    weight = signal.sqrt() * _shares(signal).sqrt()
    score = (correlation.clamp(-1, 1) * weight).sum(1) / weight.sum(1).clamp(min=TINY)
    scaled = predicted_gain * (signal / predicted.clamp(min=TINY)).sqrt()
    gain = measured_gain / scaled.clamp(min=TINY)
    matters = gain_size > LEAST_SHARE * gain_size.sum(1, keepdim=True)
    noise_share = noise.mean() / measured.mean().clamp(min=TINY)
    # Noise turns the signs of weak coordinates, also those of a right gradient.
    gain = gain.clamp(-1, 1).where(matters & (noise_share <= SOME_NOISE), 1.0)
    return Agreement(float(score.min()), float(gain.min()), float(noise_share))


def _random_changes(near: Neighborhood, count: int) -> list[Tensor]:
    """The first four fields of `Directions` at one point, (K, S) and (K,) the noise."""
    product, predicted, measured = [], [], []
    for mask in _strata(near.gradient):
        changes = [near.change(near.signs() * mask) for _ in range(count)]
        p = torch.stack([change[0] for change in changes])
        m = torch.stack([change[1] for change in changes])
        product.append((p * m).mean(0))
        predicted.append(p.square().mean(0))
        measured.append(m.square().mean(0))
    return [_beside(product), _beside(predicted), _beside(measured), near.noise()]


def _gains(near: Neighborhood) -> list[Tensor]:
    """The last two fields of `Directions` at one point, (K, S)."""
    predicted, measured = [], []
    for mask in _strata(near.gradient):
        p, m = near.change(near.gradient.sign() * mask)
        predicted.append(p)
        measured.append(m)
    return [_beside(predicted), _beside(measured)]


def _beside(tensors: list[Tensor]) -> Tensor:
    return torch.stack(tensors, 1)


def _strata(gradient: Tensor) -> list[Tensor]:
    """Masks of the coordinates of each clip, the weakest gradients first."""
    size = gradient.abs().flatten(1)
    rank = size.argsort(1).argsort(1).view_as(gradient) / size.shape[1]
    masks, low = [], 0.0
    for high in STRATA:
        masks.append((rank >= low) & (rank < high))
        low = high
    return masks


def _shares(like: Tensor) -> Tensor:
    """The share of the coordinates in each stratum, (S,)."""
    ends = like.new_tensor([0.0, *STRATA])
    return ends.diff()


def _combined(parts: Sequence[Directions], combine: Combine) -> Directions:
    fields = {}
    for name in Directions._fields:
        fields[name] = combine([getattr(part, name) for part in parts])
    return Directions(**fields)
