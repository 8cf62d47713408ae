"""Numbers and conditions as text, the same in tables, on the page and in charts."""

from avrobust.types import ConditionInfo, Modality

MODALITY_WORDS: dict[Modality, str] = {"audio": "audio", "visual": "video"}


def condition_words(condition: ConditionInfo) -> str:
    """A condition in words: "audio attacked", "both attacked", or its title."""
    if not condition.adversarial:
        return condition.title
    if len(condition.modalities) == len(MODALITY_WORDS):
        return "both attacked"
    return f"{MODALITY_WORDS[condition.modalities[0]]} attacked"


def eps_text(eps: float, label: str = "") -> str:
    """Formats a budget.

    Args:
        eps: the budget.
        label: the budget as its owner writes it, for example "8/255"; it is used if there is one.
    """
    return label or f"{eps:g}"


def thousandths(eps: float) -> str:
    """Formats a budget for the tick of an axis "eps × 1000"."""
    return f"{1000 * eps:g}"


def interval_text(
    value: float,
    low: float,
    high: float,
    *,
    digits: int = 2,
    bound_digits: int = 0,
    deviation: float | None = None,
    mark: str = "",
) -> str:
    """Formats a value with its interval, for example "34.62 ± 1.20 (26 to 44)".

    Args:
        value: in percent, or in any unit.
        low: the lower end of the interval.
        high: the upper end of the interval.
        digits: decimals of the value and of its deviation.
        bound_digits: decimals of the interval.
        deviation: over seeds, if there are several.
        mark: stands directly behind the value, for example a star.
    """
    spread = "" if deviation is None else f" ± {deviation:.{digits}f}"
    bounds = f"({low:.{bound_digits}f} to {high:.{bound_digits}f})"
    return f"{value:.{digits}f}{mark}{spread} {bounds}"


def deviation_text(value: float, deviation: float, *, digits: int = 3) -> str:
    """Formats a mean with its standard deviation, for example "0.345 ± 0.021"."""
    return f"{value:.{digits}f} ± {deviation:.{digits}f}"


def p_value_text(p: float) -> str:
    """Formats a p-value: two significant digits, or "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"
