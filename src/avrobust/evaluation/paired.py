"""Paired statistics: two models on the same clips, over one or more training seeds.

The clips are the sample. A clip has one score for each model, its mean over the seeds, and the
score's difference between the models is one observation, however many seeds there are. So neither
statistic says anything of models trained from other seeds.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LARGEST_DENOMINATOR = 1000  # seeds times averaged conditions, which differences are multiples of


class PairedDifference(NamedTuple):
    """How much better one side is than the other on the same clips."""

    difference: float  # mean over clips, in points
    low: float  # 95 % interval of the difference for new clips, in points
    high: float
    gained: int  # clips that are better on the first side
    lost: int  # clips that are better on the other side
    n: int
    p: float  # of both sides being equally good


def paired_difference(differences: Sequence[float]) -> PairedDifference:
    """The mean difference of n clips, its interval and its p-value.

    Args:
        differences: one a clip, each the mean over the seeds.

    Raises:
        ValueError: there is no clip, or the differences are not multiples of a common unit.
    """
    low, high = bootstrap_interval(differences)
    steps, unit = _whole_numbers(differences)
    return PairedDifference(
        difference=100 * int(steps.sum()) / unit / len(steps),
        low=low,
        high=high,
        gained=int((steps > 0).sum()),
        lost=int((steps < 0).sum()),
        n=len(steps),
        p=sign_flip_p(differences),
    )


def sign_flip_p(differences: Sequence[float]) -> float:
    """The exact two-sided p-value of the paired sign-flip permutation test.

    If both sides are equally good, each clip's difference might as well have the other sign. The
    p-value is the share of all sign patterns whose sum is at least as far from 0 as the observed
    one. With one seed and one condition this is McNemar's exact test (McNemar 1947).

    Args:
        differences: one a clip, each a multiple of a common unit.

    Raises:
        ValueError: there is no clip, or the differences are not multiples of a common unit.
    """
    steps, _ = _whole_numbers(differences)
    observed = abs(int(steps.sum()))
    sizes = np.sort(np.abs(steps[steps != 0]))
    # The distribution of the sum of the clips whose sign is positive, one clip after the other:
    # entry i is the probability that it is i.
    probabilities = np.ones(1)
    for size in sizes:
        longer = np.zeros(len(probabilities) + size)
        longer[: len(probabilities)] = probabilities / 2
        longer[size:] += probabilities / 2
        probabilities = longer
    # If the positive ones sum to i, all together sum to 2 i - total.
    total = int(sizes.sum())
    upper_tail = float(probabilities[(total + observed) // 2 :].sum())
    return min(1.0, 2 * upper_tail)


def bootstrap_interval(differences: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean difference over clips, in points. Efron 1979.

    Clips drawn anew, with replacement, have a sum whose distribution is the n-fold convolution of
    the observed differences, so the quantiles are computed without drawing. Where all clips have
    one difference, the interval is that point.

    Args:
        differences: one a clip, each a multiple of a common unit.
        level: coverage.

    Raises:
        ValueError: there is no clip, or the differences are not multiples of a common unit.
    """
    steps, unit = _whole_numbers(differences)
    n, least = len(steps), int(steps.min())
    frequencies = np.bincount(steps - least) / n
    sums = n * (len(frequencies) - 1) + 1
    transformed = np.fft.rfft(frequencies, sums)
    cumulative = np.cumsum(np.fft.irfft(transformed**n, sums))
    bounds = []
    for quantile in ((1 - level) / 2, (1 + level) / 2):
        place = min(int(np.searchsorted(cumulative, quantile)), sums - 1)
        bounds.append(100 * (place + n * least) / unit / n)
    return bounds[0], bounds[1]


def _whole_numbers(differences: Sequence[float]) -> tuple[NDArray[np.int64], int]:
    """The differences as whole multiples of 1 / unit, and the unit; 3 for three seeds."""
    if not differences:
        raise ValueError("no clip was compared, so there is no difference")
    unit = 1
    for value in set(differences):
        fraction = Fraction(value).limit_denominator(LARGEST_DENOMINATOR)
        if abs(float(fraction) - value) > 1e-9:
            raise ValueError(f"{value} is no mean of a few scores that are 0 or 1")
        unit = math.lcm(unit, fraction.denominator)
    return np.array([round(value * unit) for value in differences]), unit
