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


def thousandths(eps: float) -> str:
    """Formats a budget for the tick of an axis "eps × 1000"."""
    return f"{1000 * eps:g}"


def interval_text(value: float, low: float, high: float, *, digits: int = 2) -> str:
    """Formats a percentage with its interval, for example "34.62 (26 to 44)".

    Args:
        value: in percent.
        low: the lower end of the interval.
        high: the upper end of the interval.
        digits: decimals of the value.
    """
    return f"{value:.{digits}f} ({low:.0f} to {high:.0f})"


def deviation_text(value: float, deviation: float) -> str:
    """Formats a mean with its standard deviation, for example "0.345 ± 0.021"."""
    return f"{value:.3f} ± {deviation:.3f}"


def p_value_text(p: float) -> str:
    """Formats a p-value: two significant digits, or "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"
