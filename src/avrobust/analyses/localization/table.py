"""The numbers of a localization as a table."""

from avrobust.analyses.localization.outcome import (
    BASELINE_WORDS,
    LocalizeOutcome,
    PlaceScores,
    ResponseScores,
)
from avrobust.evaluation.metrics import Share
from avrobust.utils.format import interval_text

HEADINGS = ("attacked", "eps", "pointing", "cIoU ≥ 0.5", "AUC", "peak moved", "recognized")


def text_table(outcome: LocalizeOutcome) -> str:
    """The table as text."""
    from tabulate import tabulate

    return tabulate(table_rows(outcome), HEADINGS, tablefmt="github", disable_numparse=True)


def table_rows(outcome: LocalizeOutcome) -> list[list[str]]:
    """The table_rows below `HEADINGS`: clean, each attack over eps, and the guesses."""
    lines = [["–", "0", *_scores(outcome.clean)]]
    for attacked in outcome.attacked:
        for eps, scores in zip(outcome.eps_levels, attacked.scores, strict=True):
            lines.append([attacked.title, f"{eps:.4g}", *_scores(scores)])
    for baseline in outcome.baselines:
        guess = f"guess: {BASELINE_WORDS[baseline.name]}"
        lines.append([guess, "", *_places(baseline.places), "", ""])
    return lines


def _scores(scores: ResponseScores) -> list[str]:
    return [*_places(scores.places), _share(scores.moved), _share(scores.recognized)]


def _places(places: PlaceScores | None) -> list[str]:
    if places is None:
        return ["", "", ""]
    return [_share(places.pointing), _share(places.ciou), f"{places.auc:.1f}"]


def _share(share: Share | None) -> str:
    return interval_text(share.percent, share.low, share.high, digits=1) if share else ""
