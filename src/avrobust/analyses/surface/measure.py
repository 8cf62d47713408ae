"""From smallest budgets to the numbers that are kept: curves, the interaction, a table of clips."""

import csv

import torch
from torch import Tensor

from avrobust.analyses.base import Subject
from avrobust.analyses.surface.compute import SmallestBudgets, smallest_budgets
from avrobust.analyses.surface.outcome import BudgetCurve, Interaction, SurfaceOutcome
from avrobust.errors import UserError
from avrobust.evaluation.conditions import attacked_title
from avrobust.evaluation.metrics import share
from avrobust.threats import Threat
from avrobust.types import MODALITIES, Modality
from avrobust.utils.console import track
from avrobust.utils.files import atomic_write
from avrobust.utils.spreadsheet import neutral

CLIPS_FILE = "surface.csv"


def analyze(subject: Subject, levels: int, grid: int) -> SurfaceOutcome:
    """Attacks the model of a run again within many budgets; writes surface.csv.

    The largest budgets are those of the run's attack on both modalities. A defended model is
    attacked on the objectives of the run.

    Args:
        subject: the run.
        levels: steps of a curve.
        grid: steps of each budget on the surface.

    Raises:
        UserError: no threat of the run covers both modalities.
    """
    largest = _joint_threat(subject)
    assert largest.audio is not None
    assert largest.visual is not None
    smallest = smallest_budgets(
        subject.model,
        track(subject.batches, "surface", len(subject.batches)),
        subject.attack,
        largest,
        levels=levels,
        grid=grid,
        objectives=list(subject.objectives.values()),
        seed=subject.seed,
        device=subject.device,
    )
    eps: dict[Modality, float] = {"audio": largest.audio.eps, "visual": largest.visual.eps}
    _write_clips(subject, smallest, eps)
    return SurfaceOutcome(
        n=len(smallest.keys),
        largest=eps,
        shares=tuple(level / levels for level in range(levels + 1)),
        curves=tuple(_curve(smallest, modalities) for modalities in smallest.first_level),
        grid=tuple(level / grid for level in range(grid + 1)),
        interaction=interaction(smallest.frontier),
    )


def interaction(frontier: Tensor) -> Interaction:
    """What attacking both modalities does beyond attacking one, by pair of budgets.

    Args:
        frontier: of `SmallestBudgets`, (N, G + 1).
    """
    levels = torch.arange(frontier.shape[1])
    both = frontier[:, :, None] <= levels  # (N, audio level, visual level) bool
    audio, visual = both[:, :, :1].expand_as(both), both[:, :1, :].expand_as(both)
    clean_error = both[:, :1, :1]

    def percentages(mask: Tensor) -> Tensor:
        return 100 * mask.double().mean(0)

    def table(values: Tensor) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(row) for row in values.tolist())

    gain = percentages(both) - torch.maximum(percentages(audio), percentages(visual))
    return Interaction(
        accuracy=table(percentages(~both)),
        gain=table(gain),
        neither=table(percentages(both & ~audio & ~visual)),
        saved_by_visual=table(percentages(both & ~audio)),
        saved_by_audio=table(percentages(both & ~visual)),
        unsaved=table(percentages(audio & visual & ~clean_error)),
    )


def _joint_threat(subject: Subject) -> Threat:
    """The threat of the run that covers both modalities."""
    for threat in subject.suite.values():
        if threat.modalities == MODALITIES:
            return threat
    raise UserError(
        f"{subject.folder}: its threat, {subject.result.settings.threat.name}, never covers audio "
        "and video together"
    )


def _curve(smallest: SmallestBudgets, modalities: tuple[Modality, ...]) -> BudgetCurve:
    first, n = smallest.first_level[modalities], len(smallest.keys)
    accuracy = []
    for level in range(smallest.levels + 1):
        accuracy.append(share(int((first > level).sum()), n))
    title = attacked_title(modalities)
    return BudgetCurve(_name(modalities), title, tuple(accuracy), _median(first, smallest.levels))


def _name(modalities: tuple[Modality, ...]) -> str:
    return "".join(modalities)


def _median(first: Tensor, levels: int) -> float | None:
    """The share of the largest budgets that fools half of the clips recognized clean."""
    recognized = sorted(level for level in first.tolist() if level)
    middle = recognized[(len(recognized) - 1) // 2] if recognized else levels + 1
    return middle / levels if middle <= levels else None


def _write_clips(
    subject: Subject, smallest: SmallestBudgets, largest: dict[Modality, float]
) -> None:
    """Writes the smallest budgets of each clip; those of both as a share of the largest.

    A cell is empty where no budget fooled the clip.
    """
    with (
        atomic_write(subject.folder / CLIPS_FILE) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["key", *(_name(modalities) for modalities in smallest.first_level)])
        for i, key in enumerate(smallest.keys):
            cells = []
            for modalities, first in smallest.first_level.items():
                level = int(first[i])
                unit = largest[modalities[0]] if len(modalities) == 1 else 1.0
                fooled = level <= smallest.levels
                cells.append(f"{unit * level / smallest.levels:.6g}" if fooled else "")
            writer.writerow([neutral(key), *cells])
