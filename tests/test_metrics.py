import numpy as np
import pytest
from scipy.stats import binomtest

from avrobust.evaluation.metrics import (
    compactness,
    percent,
    robustness_improvement,
    wilson,
)
from tests.results import evaluation_result
from tests.support import experiment_for


def test_the_papers_averages() -> None:
    # 88.46, 51.92, 45.19 and 15.38 % of MUSIC's 104 clips: the paper's concatenation.
    result = evaluation_result(experiment_for("attack"), (92, 54, 47, 16))
    assert result.average == pytest.approx(37.50, abs=0.005)  # Table 3
    assert result.average_with_clean == pytest.approx(50.24, abs=0.005)  # Table 2


def test_wilson_at_musics_size() -> None:
    low, high = wilson(52, 104)
    assert high - low == pytest.approx(2 * 9.44, abs=0.05)  # Newcombe 1998's formula by hand
    assert wilson(0, 104)[0] == 0
    assert wilson(104, 104)[1] == 100


@pytest.mark.parametrize(
    ("correct", "n"), [(0, 1), (1, 1), (3, 7), (52, 104), (103, 104), (3104, 3104)]
)
def test_wilson_is_scipys(correct: int, n: int) -> None:
    theirs = binomtest(correct, n).proportion_ci(0.95, method="wilson")
    assert wilson(correct, n) == pytest.approx((100 * theirs.low, 100 * theirs.high), abs=1e-9)


def test_ri_of_the_papers_minsim() -> None:
    average = (51.92 + 45.19 + 15.38) / 3
    minsim_average = (70.19 + 46.15 + 36.54) / 3
    ri = robustness_improvement(91.35, minsim_average, 88.46, average)
    assert ri == pytest.approx(16.35, abs=0.01)  # Table 3


def test_no_clip_has_no_accuracy() -> None:
    with pytest.raises(ValueError, match="no clip"):
        percent(0, 0)


def test_compactness_by_hand() -> None:
    embeddings = np.array([[0.0, 0], [2, 0], [10, 0], [10, 4]])
    found = compactness(embeddings, np.array([0, 0, 1, 1]))
    assert found is not None
    assert found.intra_over_inter == pytest.approx((1 + 1 + 2 + 2) / 4 / (9**2 + 2**2) ** 0.5)
    tight = compactness(embeddings * [[1, 0]], np.array([0, 0, 1, 1]))
    assert tight is not None
    assert tight.silhouette > found.silhouette


def test_compactness_needs_two_classes_and_a_class_with_two_clips() -> None:
    assert compactness(np.eye(3), np.array([0, 0, 0])) is None
    assert compactness(np.eye(3), np.array([0, 1, 2])) is None
