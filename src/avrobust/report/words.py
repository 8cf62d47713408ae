"""Names and numbers as sentences and headings have them."""

from avrobust.types import ConditionInfo, Modality

MODALITY_WORDS: dict[Modality, str] = {"audio": "audio", "visual": "video"}


def condition_words(condition: ConditionInfo) -> str:
    """A condition in words: "audio attacked", "both attacked", or its title."""
    if not condition.adversarial:
        return condition.title
    if len(condition.modalities) == len(MODALITY_WORDS):
        return "both attacked"
    return f"{MODALITY_WORDS[condition.modalities[0]]} attacked"


def p_value(p: float) -> str:
    """A p-value as one reads it."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def thousandths(eps: float) -> str:
    """An eps as axes have it."""
    return f"{1000 * eps:g}"
