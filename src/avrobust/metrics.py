"""Accuracy in percent, its confidence interval, and the averages of the paper's tables."""

from collections.abc import Mapping

from scipy.stats import binomtest


def percent(correct: int, n: int) -> float:
    """Accuracy in percent.

    Raises:
        ValueError: n is 0, so there is no accuracy.
    """
    if n == 0:
        raise ValueError("no clip was evaluated, so there is no accuracy")
    return 100 * correct / n


def wilson(correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of an accuracy, in percent. Wilson 1927."""
    interval = binomtest(correct, n).proportion_ci(level, method="wilson")
    return 100 * float(interval.low), 100 * float(interval.high)


def average(accuracy: Mapping[str, float]) -> float:
    """(xA + xV + xAV) / 3: Avg in the paper's Tables 1 and 3."""
    return (accuracy["audio"] + accuracy["visual"] + accuracy["audiovisual"]) / 3


def average_with_clean(accuracy: Mapping[str, float]) -> float:
    """(cAV + xA + xV + xAV) / 4: Avg in the paper's Table 2."""
    return (accuracy["clean"] + accuracy["audio"] + accuracy["visual"] + accuracy["audiovisual"]) / 4
