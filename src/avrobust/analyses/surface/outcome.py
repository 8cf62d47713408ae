"""What surface.json holds."""

from dataclasses import dataclass
from typing import final

from avrobust.evaluation.metrics import Share
from avrobust.types import Modality

# Percentages of all clips by pair of budgets: [audio level][visual level].
Percentages = tuple[tuple[float, ...], ...]


@final
@dataclass(frozen=True)
class BudgetCurve:
    """Accuracy over the budget, attacked on some modalities at the same share of their budgets."""

    name: str  # of the condition, for example "audiovisual"
    title: str  # as a table's heading, for example "xAV"
    accuracy: tuple[Share, ...]  # by share of the largest budgets
    median: float | None  # share that fools half of the clips recognized clean; None: over 1


@final
@dataclass(frozen=True)
class Interaction:
    """What attacking both modalities does beyond attacking one, on the same clips."""

    accuracy: Percentages  # still recognized
    gain: Percentages  # fooled by both, less fooled by the better single attack
    neither: Percentages  # fooled by both together and by neither alone
    saved_by_visual: Percentages  # fooled by both and not by the sound alone
    saved_by_audio: Percentages  # fooled by both and not by the frames alone
    unsaved: Percentages  # recognized clean, and fooled by either alone


@final
@dataclass(frozen=True)
class SurfaceOutcome:
    """The smallest budgets that fool the clips of a run, as shares of the largest ones."""

    n: int  # clips
    largest: dict[Modality, float]  # the largest budgets, in the units of the threat
    shares: tuple[float, ...]  # of the largest budgets, along the curves
    curves: tuple[BudgetCurve, ...]
    grid: tuple[float, ...]  # shares of the largest budgets, along each side of the surface
    interaction: Interaction

    def budgets(self, modality: Modality) -> list[float]:
        """The budgets along one side of the surface, in the units of the threat."""
        return [share * self.largest[modality] for share in self.grid]
