"""The checks of a verdict: which findings suggest that an attack failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

from avrobust.analyses.verdict.directions import (
    LEAST_CORRELATION,
    LEAST_GAIN,
    MOST_NOISE,
    Agreement,
)
from avrobust.analyses.verdict.probe import STEPS, Probe
from avrobust.attacks.av_auto import BLACK_BOX
from avrobust.types import MODALITIES, Modality, Record

SLACK = 0.02  # share of the clips that may disagree by chance, beside one clip


@final
@dataclass(frozen=True)
class Context:
    """What is known besides the model itself.

    Attributes:
        optimizes: the model solves an optimization problem for every prediction, as a feature
            memory does.
        adaptive: the attacker knew the defense, and maximized what the defense declares.
        transfer: accuracies in percent under clips made on another model, by condition.
    """

    optimizes: bool = False
    adaptive: bool = False
    transfer: Mapping[str, float] | None = None


NOTHING_MORE = Context()


class Check(NamedTuple):
    """One finding."""

    name: str
    condition: str  # the condition's name, or "model"
    suspicious: bool
    text: str


def model_checks(random: bool, recognized: int, context: Context) -> list[Check]:
    """The checks of the model itself.

    Args:
        random: whether two predictions of the same clip differ.
        recognized: how many of the clips the model recognizes.
        context: what is known besides the model.
    """
    random_text = "asked twice, it answers differently" if random else "no"
    not_adaptive = context.optimizes and not context.adaptive
    optimizes_text = "no"
    if not_adaptive:
        optimizes_text = (
            "it optimizes at inference and was not attacked on what its defense declares, "
            "as defend.py does"
        )
    clips_text = f"it recognizes {recognized} of the clips looked at"
    return [
        Check("random", "model", random, random_text),
        Check("optimizes", "model", not_adaptive, optimizes_text),
        Check("clips", "model", not recognized, clips_text),
    ]


def probe_checks(
    condition: str,
    modalities: Sequence[Modality],
    probe: Probe,
    classes: int,
    fooled: int | None = None,
) -> list[Check]:
    """The checks of how gradients behave under one condition.

    Args:
        condition: its name.
        modalities: that the condition attacks.
        probe: what happened to the clips.
        classes: of the model.
        fooled: how many of the clips the attack fooled; None if only the probe is known.
    """
    n = len(probe.dead)
    dead, one_step = int(probe.dead.sum()), int(probe.one_step.sum())
    many_steps, whole_range = int(probe.many_steps.sum()), int(probe.whole_range.sum())
    # The best replacement alone: all tries together beat any single attack.
    replaced = int(probe.replaced.sum(0).max())
    noise_alone = int((probe.noise & ~probe.many_steps).sum())
    clean, early, end = probe.losses.double().mean(0).tolist()
    rises = end > clean + 1e-6 and end >= early - 0.05 * abs(early - clean)
    checks = [
        Check(
            "gradient",
            condition,
            _exceeds(dead, 0, n),
            f"{dead} of {n} clips have a zero or non-finite gradient",
        ),
        _loss_check(condition, probe, fooled),
        Check(
            "noise",
            condition,
            _exceeds(noise_alone, 0, n),
            f"random noise fools {noise_alone} of {n} clips that gradients do not",
        ),
        Check(
            "one step",
            condition,
            _exceeds(one_step, many_steps, n),
            f"one step fools {one_step} of {n} clips, {STEPS} steps fool {many_steps}",
        ),
        Check(
            "steps",
            condition,
            not rises,
            f"the loss goes from {clean:.3g} to {early:.3g} and {end:.3g} with the steps",
        ),
        Check(
            "whole range",
            condition,
            _exceeds(replaced, whole_range, n),
            f"with every value allowed gradients fool {whole_range} of {n} clips, "
            f"the best of silence, black, white or noise {replaced}",
        ),
    ]
    # Under one modality's attack the intact one may rightly save the clip.
    if len(modalities) == len(MODALITIES):
        checks.append(_chance_check(condition, whole_range, n, classes))
    return checks


def direction_check(condition: str, modality: Modality, result: Agreement) -> Check:
    """Whether the gradient of one modality predicts what small changes do to the loss.

    Args:
        condition: its name.
        modality: whose gradient was compared with central differences.
        result: of the comparison.
    """
    name = f"{modality} differences"
    if result.noise > MOST_NOISE:
        text = f"cannot be judged: {100 * result.noise:.0f} % of the changes of the loss are noise"
        return Check(name, condition, False, text)
    text = (
        f"the {modality} gradient predicts changes of the loss with a correlation of "
        f"{result.correlation:.2f}, and its signs gain {result.gain:.2f} of what they should; "
        f"at least {LEAST_CORRELATION:g} and {LEAST_GAIN:g} are expected"
    )
    return Check(name, condition, not result.margin >= 0, text)


def record_checks(condition: str, records: Sequence[Record], context: Context) -> list[Check]:
    """The checks of what an attack found under one condition.

    Args:
        condition: its name.
        records: of the attack, under any conditions.
        context: what is known besides the model.
    """
    chosen = [record for record in records if record.condition == condition]
    if not chosen:
        return []
    n = len(chosen)
    black_box = sum(record.attack == BLACK_BOX for record in chosen)
    text = f"Square fooled {black_box} of {n} clips that gradients could not"
    checks = [Check("square", condition, _exceeds(black_box, 0, n), text)]
    if context.transfer and condition in context.transfer:
        other = round(context.transfer[condition] / 100 * n)
        own = sum(record.correct for record in chosen)
        checks.append(compare_transfer(condition, own, other, n))
    return checks


def compare_transfer(condition: str, own: int, other: int, n: int) -> Check:
    """Whether clips made on another model harm more than those made on the attacked one.

    Args:
        condition: the condition's name.
        own: how many of the clips made on the attacked model it still recognizes.
        other: how many of those made on the other model.
        n: clips.
    """
    text = f"clips made on another model leave {other} of {n}, those made on this one {own}"
    return Check("transfer", condition, _exceeds(own, other, n), text)


def _loss_check(condition: str, probe: Probe, fooled: int | None) -> Check:
    """Whether the attacker's loss hides what the margin of the logits shows.

    A loss without a gradient does no harm if the attack got as far by other means.
    """
    n, saturated = len(probe.saturated), int(probe.saturated.sum())
    by_margin, by_attack = int(probe.many_steps.sum()), int(probe.own_loss.sum())
    if fooled is not None:
        by_attack = fooled
    text = f"the attack fools {by_attack} of {n} clips, {STEPS} steps on the margin {by_margin}"
    if saturated:
        text = f"{saturated} clips have a zero or non-finite gradient of the attacked loss; {text}"
    # An attack of fewer steps may stay behind as well: only saturated clips are this check's.
    missed = min(saturated, by_margin - by_attack)
    return Check("loss", condition, _exceeds(missed, 0, n), text)


def _chance_check(condition: str, whole_range: int, n: int, classes: int) -> Check:
    left, chance = 100 * (1 - whole_range / n), 100 / classes
    fallen = left <= chance + 100 * SLACK + 100 / n
    text = f"with every value allowed {left:.0f} % are left; chance is {chance:.0f} %"
    return Check("chance", condition, not fallen, text)


def _exceeds(count: int, other: int, n: int) -> bool:
    """Whether `count` of n clips is more than `other` beyond what chance explains."""
    return count - other > max(1, SLACK * n)
