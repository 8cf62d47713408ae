"""Changes of clips as vectors in which every L-infinity budget is the same cube."""

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from avrobust.attacks.problem import Problem, take
from avrobust.threats import Threat
from avrobust.types import Clip


@final
@dataclass(frozen=True)
class UnitBox:
    """The change of every attacked value of a clip, in units of its own eps: (B, N).

    In these coordinates the clean clip is 0, the L-infinity distance treats both modalities alike,
    and a change is within the budget if that distance is at most 1. Valid values are a box.

    Attributes:
        clean: the clean clips.
        threat: the budgets, none of them of eps 0.
        low: the change of each value down to its smallest valid value, (B, N), at most 0.
        high: the change of each value up to its largest valid value, (B, N), at least 0.
    """

    clean: Clip
    threat: Threat
    low: Tensor
    high: Tensor

    @classmethod
    def around(cls, problem: Problem) -> "UnitBox | None":
        """The box of a problem; None if no budget leaves any room."""
        threat = Threat(
            *(budget if budget and budget.eps else None for budget in problem.threat.budgets)
        )
        low, high = [], []
        for modality in threat.modalities:
            clean, budget = getattr(problem.clip, modality), getattr(threat, modality)
            unit = budget.eps * budget.scale(clean)
            low.append(((budget.low - clean) / unit).flatten(1))
            high.append(((budget.high - clean) / unit).flatten(1))
        if not low:
            return None
        return cls(problem.clip, threat, torch.cat(low, 1), torch.cat(high, 1))

    def take(self, index: Tensor) -> "UnitBox":
        """The box of the clips at `index`, (K,) int64."""
        clean = take(self.clean, index)
        return replace(self, clean=clean, low=self.low[index], high=self.high[index])

    def clip(self, change: Tensor) -> Clip:
        """The changed clips. Their values are valid, but need not be within the budget."""
        clips, first = self.clean, 0
        for modality in self.threat.modalities:
            clean, budget = getattr(self.clean, modality), getattr(self.threat, modality)
            size = clean[0].numel()
            own = change[:, first : first + size].view_as(clean)
            changed = clean + budget.eps * budget.scale(clean) * own
            clips = clips._replace(**{modality: changed.clamp(budget.low, budget.high)})
            first += size
        return clips

    def flat(self, gradient: Clip) -> Tensor:
        """A gradient per unit of the budgets as one per coordinate: (B, N)."""
        parts = []
        for modality in self.threat.modalities:
            budget = getattr(self.threat, modality)
            parts.append(budget.eps * getattr(gradient, modality).flatten(1))
        return torch.cat(parts, 1).nan_to_num()

    def clamp(self, change: Tensor) -> Tensor:
        """The nearest change that leaves all values valid."""
        return torch.minimum(torch.maximum(change, self.low), self.high)

    def to_plane(self, change: Tensor, normal: Tensor, offset: Tensor) -> Tensor:
        """The shortest way from `change` to a hyperplane that stays in the box, L-infinity.

        Every coordinate goes equally far, except that it stops at the bound of the box. The length
        follows from the coordinates that stop; each round finds more of them, until none is new.

        Args:
            change: points in the box, (B, N).
            normal: of the planes normal . z = offset, (B, N).
            offset: of the planes, (B,).

        Returns:
            The ways, (B, N). If the box does not reach the plane, a way ends at the bounds.
        """
        gap = offset - (normal * change).sum(1)
        direction = normal.sign() * gap.sign()[:, None]
        room = torch.where(direction > 0, self.high - change, change - self.low)
        slope = normal.abs()
        free = slope > 0
        while True:
            stopped = torch.where(free, 0.0, slope * room).sum(1)
            length = (gap.abs() - stopped) / torch.where(free, slope, 0.0).sum(1)
            # Without any free coordinate the box does not reach the plane.
            length = torch.where(free.any(1), length, torch.inf)[:, None]
            still_free = free & (room > length)
            if torch.equal(still_free, free):
                return direction * torch.minimum(length, room)
            free = still_free
