"""Statistics of accuracies, and how compact the classes of embeddings are."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, final

# Goes up when `evaluate` gives other numbers for the same model and attack: the conditions of a
# threat, what is kept of an outcome, random starts. It is in the identity of every evaluation.
EVALUATION_REVISION = 1


@final
@dataclass(frozen=True)
class Share:
    """A percentage of n clips with its 95 % Wilson interval."""

    percent: float
    low: float
    high: float
    n: int


@final
@dataclass(frozen=True)
class Compactness:
    """How close the embeddings of a class lie together: a smaller ratio is more compact."""

    intra_over_inter: float  # mean distance to the own class's mean over that between class means
    silhouette: float  # mean silhouette coefficient in [-1, 1]. Rousseeuw 1987


def share(count: int, n: int) -> Share:
    """`count` of `n` clips in percent, with the 95 % Wilson interval.

    Raises:
        ValueError: n is 0.
    """
    value = percent(count, n)
    low, high = wilson(count, n)
    return Share(value, low, high, n)


def percent(correct: int, n: int) -> float:
    """Accuracy in percent.

    Raises:
        ValueError: n is 0, so there is no accuracy.
    """
    if n == 0:
        raise ValueError("no clip was evaluated, so there is no accuracy")
    return 100 * correct / n


def wilson(correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of an accuracy, in percent. Wilson 1927.

    Written out, because importing scipy.stats takes longer than everything else that is needed to
    show a finished row.
    """
    z, p = NormalDist().inv_cdf((1 + level) / 2), correct / n
    center, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = ((center + sign * half) / (1 + z**2 / n) for sign in (-1, 1))
    return 100 * low if correct else 0.0, 100 * high if correct < n else 100.0


def compactness(embeddings: Any, labels: Any) -> Compactness | None:
    """How close the embeddings of a class lie together.

    Args:
        embeddings: (N, D) array.
        labels: (N,) array.

    Returns:
        None where there are fewer than two classes, no class has two clips, or the classes have one
        mean, as they do where all embeddings are equal.
    """
    from scipy.spatial.distance import pdist
    from sklearn.metrics import silhouette_score

    classes = sorted(set(labels.tolist()))
    if not 1 < len(classes) < len(labels):
        return None
    means = {label: embeddings[labels == label].mean(0) for label in classes}
    distances = []
    for row, label in zip(embeddings, labels, strict=True):
        distances.append(float(((row - means[int(label)]) ** 2).sum() ** 0.5))
    between = float(pdist([means[label] for label in classes]).mean())
    if not between:
        return None
    ratio = sum(distances) / len(distances) / between
    return Compactness(ratio, float(silhouette_score(embeddings, labels)))


def robustness_improvement(
    clean: float, average: float, undefended_clean: float, undefended_average: float
) -> float:
    """RI = (cAV_m + Avg_m) - (cAV_n + Avg_n), in points. Tian & Xu 2021.

    Args:
        clean: clean accuracy of the defended model m, in percent.
        average: its mean accuracy over the attacks.
        undefended_clean: clean accuracy of the undefended model n.
        undefended_average: its mean accuracy over the attacks.
    """
    return clean + average - undefended_clean - undefended_average
