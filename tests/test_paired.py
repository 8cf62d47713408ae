"""The one p-value and the one interval for two models on the same clips."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap, permutation_test

from avrobust.evaluation.paired import bootstrap_interval, paired_difference, sign_flip_p

# Which clips each of two models recognizes, a row a seed.
Scores = np.typing.NDArray[np.int64]


def per_clip(first: Scores, second: Scores) -> list[float]:
    return [float(value) for value in (first - second).mean(0)]


def pooled_sign_test(first: Scores, second: Scores) -> float:
    """What the tables did before: seeds times clips as if all were different clips."""
    change = (first - second).flatten()
    gained, lost = int((change > 0).sum()), int((change < 0).sum())
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def clip_sign_flip(first: Scores, second: Scores) -> float:
    return sign_flip_p(per_clip(first, second))


@pytest.mark.parametrize(
    ("gained", "lost"), [(0, 6), (6, 0), (13, 4), (5, 5), (1, 0), (60, 31), (900, 700)]
)
def test_with_one_seed_it_is_mcnemars_exact_test(gained: int, lost: int) -> None:
    differences = [1.0] * gained + [-1.0] * lost + [0.0] * 7
    assert sign_flip_p(differences) == pytest.approx(binomtest(gained, gained + lost).pvalue)


def test_models_that_agree_on_every_clip_are_equally_good() -> None:
    assert sign_flip_p([0.0] * 5) == 1
    assert bootstrap_interval([0.0] * 5) == (0, 0)


@pytest.mark.parametrize("seeds", [2, 3])
def test_it_is_scipys_paired_permutation_test(seeds: int) -> None:
    draw = np.random.default_rng(seeds)
    first, second = draw.integers(0, 2, (2, seeds, 10))
    differences = np.array(per_clip(first, second))

    # SciPy counts all sign patterns of ten clips.
    theirs = permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_p(list(differences)) == pytest.approx(theirs.pvalue)


def same_whatever_the_seeds(p_value: Callable[[Scores, Scores], float]) -> bool:
    """Whether three copies of one seed's outcome have the p-value of one."""
    first = np.array([[1] * 12 + [0] * 4 + [1] * 20])
    second = np.array([[0] * 12 + [1] * 4 + [1] * 20])
    one, three = p_value(first, second), p_value(np.tile(first, (3, 1)), np.tile(second, (3, 1)))
    return three == pytest.approx(one)


def test_three_identical_seeds_are_no_more_sure_than_one() -> None:
    assert same_whatever_the_seeds(clip_sign_flip)
    assert not same_whatever_the_seeds(pooled_sign_test)  # 0.077 becomes 0.0009


def test_scores_that_are_averages_of_conditions_are_compared_exactly() -> None:
    # Clean + mean of three attacks over three seeds: multiples of 1/9.
    differences = [1 / 9, 1 / 3 + 1 / 9, -2 / 9, 4 / 3, 1 / 3 + 1 / 3 + 1 / 3]
    patterns = np.array(np.meshgrid(*[[-1, 1]] * 5)).reshape(5, -1)
    sums = np.abs(np.array(differences) @ patterns)
    as_far = float((sums >= abs(sum(differences)) - 1e-9).mean())
    assert sign_flip_p(differences) == pytest.approx(as_far)


def test_the_interval_is_scipys_bootstrap_without_its_draws() -> None:
    draw = np.random.default_rng(0)
    differences = draw.choice(
        [-1, -1 / 3, 0, 1 / 3, 2 / 3, 1], 104, p=[0.1, 0.1, 0.4, 0.2, 0.1, 0.1]
    )
    theirs = bootstrap(
        (differences,), np.mean, n_resamples=20_000, method="percentile", rng=draw
    ).confidence_interval
    ours = bootstrap_interval([float(value) for value in differences])
    assert ours == pytest.approx((100 * theirs.low, 100 * theirs.high), abs=0.5)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    draw = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        low, high = bootstrap_interval(
            [float(v) for v in draw.choice([-1, 0, 1], 104, p=[0.1, 0.6, 0.3])]
        )
        hits += low <= 20 <= high
    assert 0.91 <= hits / 300 <= 0.985


def test_difference_counts_and_interval_go_together() -> None:
    paired = paired_difference([1.0, 1.0, 1 / 3, -1 / 3, 0.0])
    assert paired.difference == pytest.approx(40)
    assert (paired.gained, paired.lost, paired.n) == (3, 1, 5)
    assert paired.low < 40 < paired.high


@pytest.mark.parametrize("differences", [[], [0.1234567, 0.5]])
def test_what_is_no_difference_of_clips_is_refused(differences: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no clip|no mean of a few scores"):
        paired_difference(differences)
