"""Remarks without which the row of an attack would mislead."""

from statistics import fmean

from avrobust.experiments.results import EvaluationResult
from avrobust.experiments.sources import Stale

STALE = "*"  # marks a result that the code at hand would not give


def notes(result: EvaluationResult, staleness: Stale | None = None) -> list[str]:
    """The remarks, one a line.

    Args:
        result: of the attack.
        staleness: why the code at hand would not give it, if that is so.
    """
    remarks = [
        *([f"{STALE} {staleness.mark}: {staleness.reason}"] if staleness else []),
        *_nested(result),
        *_comparison(result),
        *_targeted(result),
        *_transfer(result),
        *_ensemble(result),
        *_verdict(result),
    ]
    if not result.attack.bounded:
        remarks.append(_unbounded(result))
    if result.skipped:
        first, count = result.skipped[0], len(result.skipped)
        remarks.append(f"{count} clips could not be read, first {first.key}: {first.reason}")
    return remarks


def _nested(result: EvaluationResult) -> list[str]:
    """How many clips only an attack within another one's budgets fooled."""
    titles = {condition.name: condition.title for condition in result.conditions}
    remarks = []
    for condition in result.conditions:
        if condition.nested:
            inner = " or ".join(titles[name] for name in condition.nested)
            remarks.append(
                f"{condition.title} counts the clips that {inner} fools within its budgets, "
                f"{condition.fooled_by_nested} more; alone it leaves "
                f"{condition.own_accuracy.percent:.2f}"
            )
    return remarks


def _comparison(result: EvaluationResult) -> list[str]:
    """The gain over the undefended model, and the objectives that the attack tried."""
    comparison = result.comparison
    if comparison is None:
        return []
    averages = []
    for name, accuracy in comparison.objectives.items():
        attacked = [accuracy[condition.name] for condition in result.attacked]
        averages.append(f"{name} {fmean(attacked):.2f}")
    epochs = f"{result.epochs} epochs against its {comparison.epochs}"
    low, high = comparison.ri_interval
    sure = f"({low:+.0f} to {high:+.0f}, p {comparison.ri_p:.2g})"
    return [
        f"RI {comparison.ri:+.2f} {sure} against the undefended model, trained for {epochs}; "
        "interval and p are about new clips, not about other training seeds",
        f"attacked on ({result.settings.adaptive}): Avg {', '.join(averages)}",
    ]


def _targeted(result: EvaluationResult) -> list[str]:
    """How many clips a targeted attack brought to the wanted class.

    These are fewer than the clips on which the model errs.
    """
    shares = []
    for condition in result.conditions:
        success = condition.targeted_success
        if success is not None:
            interval = f"({success.low:.0f} to {success.high:.0f})"
            shares.append(f"{condition.name} {success.percent:.2f} % {interval}")
    if not shares:
        return []
    return [f"ended in the wanted class ({result.settings.target}): {', '.join(shares)}"]


def _transfer(result: EvaluationResult) -> list[str]:
    """What clips made on the attacked model itself leave.

    This is for a row whose clips were made on another model.
    """
    own = result.white_box
    if own is None:
        return []
    average = fmean([own.accuracy[condition.name] for condition in result.attacked])
    remarks = [
        f"clips made on {own.source}; made on the attacked model itself: Avg {average:.2f}",
    ]
    for reason in own.reasons:
        remarks.append(f"the white-box attack ({own.run_id}) is NOT trusted: {reason}")
    return remarks


def _ensemble(result: EvaluationResult) -> list[str]:
    """Which attack of an ensemble fooled how many clips, and which parts do not fit the model."""
    remarks = []
    for condition in result.conditions:
        if condition.success_by_attack:
            counts = [f"{name} {count}" for name, count in condition.success_by_attack.items()]
            remarks.append(f"{condition.name} fooled by {', '.join(counts)}")
    remarks += [f"unsupported: {reason}" for reason in result.unsupported]
    return remarks


def _verdict(result: EvaluationResult) -> list[str]:
    """Whether the attack is to be trusted; nothing for attacks that do not say."""
    verdict = result.verdict
    if verdict is None:
        return []
    unjudged = []
    for name, reason in verdict.unjudged.items():
        unjudged.append(f"verdict: nothing to judge under {name}: {reason}")
    if not verdict.trusted:
        return [
            "verdict: NOT trusted; the attack may have failed where the model looks robust",
            *verdict.reasons,
            *unjudged,
        ]
    if len(unjudged) == len(result.attacked):
        return unjudged
    return ["verdict: trusted; no check found a sign of masked gradients", *unjudged]


def _unbounded(result: EvaluationResult) -> str:
    audio = max(condition.largest_distance["audio"] for condition in result.conditions)
    visual = max(condition.largest_distance["visual"] for condition in result.conditions)
    moved = f"audio by {audio:.4g}, frames by {visual:.4g}"
    return f"NOT eps-bounded: this attack moved {moved} in the units of eps"
