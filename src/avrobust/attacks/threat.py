"""The threat: how far an attacker may move each modality, who measures it, and who projects onto it.

An attack never decides what is allowed; it asks the threat to project, and `evaluate` asks the threat to measure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

import torch
from torch import Tensor

from avrobust.types import IMAGENET_STD, Clip, Condition

Units = Literal["imagenet", "pixel"]

# Float32 cannot hold clean + eps exactly: a projected value may be measured this far outside, in input values.
TOLERANCE = 1e-6


@final
@dataclass(frozen=True)
class Budget:
    """An L-infinity ball of radius `eps` units round the clean input, cut to the valid values [low, high].

    `unit` is what one unit of eps is worth in input values: (1.0,) or, for frames, one number a channel.
    """

    eps: float
    low: float
    high: float
    unit: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if not 0 <= self.eps < float("inf"):
            raise ValueError(f"eps must be a finite number of at least 0, not {self.eps}")

    def unit_like(self, x: Tensor) -> Tensor:
        """The worth of one unit, broadcastable to audio (B, 1, S) or frames (B, T, 3, H, W)."""
        unit = torch.tensor(self.unit, dtype=x.dtype, device=x.device)
        return unit if len(self.unit) == 1 else unit[:, None, None]

    def widest(self) -> "Budget":
        """The same with every valid value in reach of every other."""
        return replace(self, eps=(self.high - self.low) / min(self.unit))

    def move(self, x: Tensor, direction: Tensor, fraction: float | Tensor) -> Tensor:
        """A step of `fraction` of eps, one for all clips or one of each (B,), that gains most along `direction`."""
        size = fraction * self.eps
        if isinstance(size, Tensor):
            size = each(size, x)
        return x + size * self.unit_like(x) * direction.nan_to_num().sign()

    def project(self, x: Tensor, clean: Tensor) -> Tensor:
        """The point of the ball and of the valid values that is nearest to x."""
        radius = self.eps * self.unit_like(x)
        return (clean + torch.clamp(x - clean, -radius, radius)).clamp(self.low, self.high)

    def distance(self, x: Tensor, clean: Tensor) -> Tensor:
        """How far x is from clean, in units of eps: (B,)."""
        return ((x - clean).abs() / self.unit_like(x)).flatten(1).amax(1)

    def valid(self, x: Tensor) -> Tensor:
        """Whether each clip of x is finite and inside [low, high]: (B,) bool."""
        return ((x >= self.low) & (x <= self.high)).flatten(1).all(1)

    def contains(self, x: Tensor, clean: Tensor) -> Tensor:
        """Whether each clip of x is in the ball and valid, up to rounding: (B,) bool."""
        slack = TOLERANCE / min(self.unit)
        return self.valid(x) & (self.distance(x, clean) <= self.eps + slack)


def each(values: Tensor, x: Tensor) -> Tensor:
    """One value a clip, (B,), shaped to be broadcast over the clips of x: (B, 1, ...)."""
    return values.view(-1, *[1] * (x.dim() - 1))


def audio_budget(eps: float) -> Budget:
    """A budget for waveforms in [-1, 1]; eps in waveform units."""
    return Budget(eps, -1.0, 1.0)


def visual_budget(eps: float, units: Units = "imagenet") -> Budget:
    """A budget for frames in [0, 1]; eps in pixel values or in ImageNet-normalised units (pixel / channel's std)."""
    return Budget(eps, 0.0, 1.0, IMAGENET_STD if units == "imagenet" else (1.0,))


@final
@dataclass(frozen=True)
class Threat:
    """A budget for each attacked modality; None leaves that modality untouched, bit for bit."""

    audio: Budget | None = None
    visual: Budget | None = None

    @property
    def budgets(self) -> tuple[Budget | None, Budget | None]:
        """The budgets in the order of a Clip's fields."""
        return self.audio, self.visual

    def project(self, adversarial: Clip, clean: Clip) -> Clip:
        """The allowed clip that is nearest to `adversarial`; an untouched modality is the clean tensor itself."""
        pairs = zip(self.budgets, adversarial, clean, strict=True)
        return Clip(*(c if b is None else b.project(x, c) for b, x, c in pairs))

    def contains(self, adversarial: Clip, clean: Clip) -> Tensor:
        """Whether each clip keeps to this threat: (B,) bool; an untouched modality has to be equal bit for bit."""
        pairs = zip(self.budgets, adversarial, clean, strict=True)
        kept = [(x == c).flatten(1).all(1) if b is None else b.contains(x, c) for b, x, c in pairs]
        return kept[0] & kept[1]


def suite(
    eps: float, *, audio: float = 1.0, visual: float = 1.0, single: float = 1.0, units: Units = "imagenet"
) -> dict[Condition, Threat]:
    """The three threats of a table: audio alone, visual alone, both at once.

    Args:
        eps: the budget of the joint attack, in the units below.
        audio: factor on eps for the waveform (waveform units).
        visual: factor on eps for the frames (`units`).
        single: factor on both where one modality is attacked alone (2 in the paper's Table 1: 0.012 against 0.006).
        units: what a visual eps is measured in; see `visual_budget`.

    Raises:
        ValueError: a budget is negative or not finite.
    """
    return {
        "audio": Threat(audio=audio_budget(eps * audio * single)),
        "visual": Threat(visual=visual_budget(eps * visual * single, units)),
        "audiovisual": Threat(audio_budget(eps * audio), visual_budget(eps * visual, units)),
    }


def modalities(threat: Threat) -> Sequence[bool]:
    """Which fields of a Clip the threat lets an attack touch."""
    return [budget is not None for budget in threat.budgets]
