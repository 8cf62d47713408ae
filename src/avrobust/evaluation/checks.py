"""Checks of what conditions did to clips, which make the numbers of an evaluation valid."""

from collections.abc import Sequence

import torch
from torch import Tensor

from avrobust.errors import UserError
from avrobust.evaluation.conditions import Condition
from avrobust.threats import Budget, Threat, audio_budget, visual_budget
from avrobust.types import MODALITIES, Clip, Modality

# The ranges of valid values: those of waveforms and of frames.
RANGES: dict[Modality, Budget] = {"audio": audio_budget(0), "visual": visual_budget(0)}


class InvalidConditionError(UserError):
    """A condition did what it declares not to do: its numbers would be invalid."""


class BudgetExceededError(InvalidConditionError):
    """An attack that claims to be bounded left its budget: its numbers would be invalid."""


def check_clean(clip: Clip, keys: Sequence[str]) -> None:
    """Checks that clean clips are finite and in range.

    Raises:
        ValueError: a clip is not.
    """
    for modality, key in _out_of_range(clip, keys):
        budget = RANGES[modality]
        raise ValueError(
            f"clip {key}: its {modality} is not finite "
            f"or not within [{budget.low:g}, {budget.high:g}]"
        )


def check_outcome(
    condition: Condition,
    changed: Clip,
    clean: Clip,
    distances: tuple[Tensor, Tensor],
    keys: Sequence[str],
) -> None:
    """Checks what a condition did to clips.

    Args:
        condition: what was applied.
        changed: its outcome.
        clean: the clips that it was applied to.
        distances: between the two, (B,) each, as the condition measures them.
        keys: of the clips.

    Raises:
        BudgetExceededError: a bounded attack left its threat.
        InvalidConditionError: a modality that the condition declares untouched was changed, or a
            value is not finite or out of range.
    """
    cause = condition.cause or f"condition {condition.name}"
    if condition.bounded:
        check_budget(cause, changed, distances, condition.threat, keys)
    for modality in MODALITIES:
        touched = modality in condition.modalities
        if not touched and not torch.equal(getattr(changed, modality), getattr(clean, modality)):
            raise InvalidConditionError(
                f"{cause} changed the {modality}, which {condition.name} declares untouched"
            )
    # An untouched modality is equal to that of the clean clips, which were checked.
    for modality, key in _out_of_range(changed, keys, condition.modalities):
        budget = RANGES[modality]
        raise InvalidConditionError(
            f"{cause} made the {modality} of clip {key} not finite "
            f"or not within [{budget.low:g}, {budget.high:g}]"
        )


def check_budget(
    name: str,
    adversarial: Clip,
    distances: tuple[Tensor, Tensor],
    threat: Threat,
    keys: Sequence[str],
) -> None:
    """Checks that adversarial clips keep to a threat.

    Args:
        name: of the attack or condition, for the message.
        adversarial: the clips.
        distances: from the clean clips, (B,) each, as the threat measures them.
        threat: the budgets.
        keys: of the clips.

    Raises:
        BudgetExceededError: a clip is outside.
    """
    for key in _marked(keys, ~threat.contains(adversarial, distances)):
        budgets = f"audio {_describe(threat.audio)}, visual {_describe(threat.visual)}"
        raise BudgetExceededError(f"{name} left its budget on clip {key}: {budgets}")


def _out_of_range(
    clip: Clip, keys: Sequence[str], modalities: Sequence[Modality] = MODALITIES
) -> list[tuple[Modality, str]]:
    invalid: list[tuple[Modality, str]] = []
    for modality in modalities:
        marked = _marked(keys, ~RANGES[modality].valid(getattr(clip, modality)))
        invalid += [(modality, key) for key in marked]
    return invalid


def _marked(keys: Sequence[str], marks: Tensor) -> list[str]:
    return [key for key, mark in zip(keys, marks.tolist(), strict=True) if mark]


def _describe(budget: Budget | None) -> str:
    return "untouched" if budget is None else f"eps {budget.eps:g}"
