"""The threat: how far an attacker may move each modality, who measures it, and who projects onto it.

An attack never decides what is allowed; it asks the threat to project, and `evaluate` asks the
threat to measure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

import torch
from torch import Generator, Tensor

from avrobust.types import IMAGENET_STD, Clip, Condition

Units = Literal["imagenet", "pixel"]
Norm = Literal["linf", "l2"]

# Float32 cannot hold clean + eps exactly: a projected value may be measured this far outside, in
# input values.
TOLERANCE = 1e-6
L2_TOLERANCE = 1e-3  # of eps, in which many such roundings add up


@final
@dataclass(frozen=True)
class Budget:
    """A ball of radius `eps` units round the clean input, cut to the valid values [low, high].

    `unit` is what one unit of eps is worth in input values: (1.0,) or, for frames, one number a
    channel. `norm` is taken over all values of a clip. With `relative` eps is a share of the clean
    clip's own L2 norm, so that every clip has the same signal-to-noise ratio, -20 log10(eps) dB; a
    silent clip then cannot be moved.
    """

    eps: float
    low: float
    high: float
    unit: tuple[float, ...] = (1.0,)
    norm: Norm = "linf"
    relative: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.eps < float("inf"):
            raise ValueError(f"eps must be a finite number of at least 0, not {self.eps}")
        if self.relative and self.norm != "l2":
            raise ValueError("a signal-to-noise ratio is a budget of the l2 norm")

    def unit_like(self, x: Tensor) -> Tensor:
        """The worth of one unit, broadcastable to audio (B, 1, S) or frames (B, T, 3, H, W)."""
        # Not torch.tensor(..., device=): a copy from the host would make it wait for the GPU at
        # every step.
        unit = torch.stack([x.new_full((), unit) for unit in self.unit])
        return unit if len(self.unit) == 1 else unit[:, None, None]

    def radius(self, clean: Tensor) -> float | Tensor:
        """The ball's radius in units: one number, or of each clip (B, 1, ...)."""
        return (
            self.eps * each(l2_norm(clean / self.unit_like(clean)), clean)
            if self.relative
            else self.eps
        )

    def widest(self) -> "Budget":
        """The same with every valid value in reach of every other."""
        return Budget((self.high - self.low) / min(self.unit), self.low, self.high, self.unit)

    def noise(self, clean: Tensor, generators: Sequence[Generator], *, fill: bool) -> Tensor:
        """A random point of the ball for each clip, less the clean one: uniform, or on the sphere of the l2 norm.

        With `fill` a uniform draw is scaled until it reaches the end of the budget.
        """
        # Drawn on the CPU, clip by clip, so that the device and the batch's make-up change nothing.
        draw = torch.rand if self.norm == "linf" else torch.randn
        noise = torch.stack(
            [draw(clean.shape[1:], generator=g, dtype=clean.dtype) for g in generators]
        )
        noise = noise.to(clean.device)
        if self.norm == "l2":
            return self._towards(noise) * self.radius(clean) * self.unit_like(clean)
        noise = 2 * noise - 1
        if fill:
            noise = noise / each(noise.abs().flatten(1).amax(1), noise)
        return noise * self.eps * self.unit_like(clean)

    def move(self, x: Tensor, direction: Tensor, fraction: float | Tensor, clean: Tensor) -> Tensor:
        """A step of `fraction` of eps, one for all clips or one of each (B,), that gains most along `direction`."""
        share = each(fraction, x) if isinstance(fraction, Tensor) else fraction
        return x + (share * self.radius(clean)) * self.unit_like(x) * self._towards(
            direction.nan_to_num()
        )

    def _towards(self, direction: Tensor) -> Tensor:
        """The vector of norm 1 that gains most along `direction`; 0 where that is 0."""
        if self.norm == "linf":
            return direction.sign()
        length = l2_norm(direction)
        return direction / each(length.where(length > 0, 1.0), direction)

    def project(self, x: Tensor, clean: Tensor) -> Tensor:
        """The point of the ball that is nearest to x, cut to the valid values."""
        unit, radius = self.unit_like(x), self.radius(clean)
        if self.norm == "linf":
            return (clean + torch.clamp(x - clean, -radius * unit, radius * unit)).clamp(
                self.low, self.high
            )
        length = each(l2_norm((x - clean) / unit), x)
        outside = (radius / length.clamp(min=torch.finfo(x.dtype).tiny)).clamp(max=1.0)
        return (clean + (x - clean) * outside).clamp(self.low, self.high)

    def distance(self, x: Tensor, clean: Tensor) -> Tensor:
        """How far x is from clean, in units of eps: (B,)."""
        if x is clean:
            return x.new_zeros(len(x))
        moved = (x - clean) / self.unit_like(x)
        if self.norm == "linf":
            return moved.abs().flatten(1).amax(1)
        own = (
            l2_norm(clean / self.unit_like(clean))
            if self.relative
            else torch.ones_like(moved.flatten(1)[:, 0])
        )
        return l2_norm(moved) / own.where(own > 0, 1.0)

    def valid(self, x: Tensor) -> Tensor:
        """Whether each clip of x is finite and inside [low, high]: (B,) bool."""
        return ((x >= self.low) & (x <= self.high)).flatten(1).all(1)

    def contains(self, x: Tensor, distance: Tensor) -> Tensor:
        """Whether each clip of x, at its `distance` (B,), is in the ball and valid, up to rounding: (B,) bool."""
        slack = TOLERANCE / min(self.unit) if self.norm == "linf" else L2_TOLERANCE * self.eps
        return self.valid(x) & (distance <= self.eps + slack)


def l2_norm(x: Tensor) -> Tensor:
    """The L2 norm of each clip of x: (B, ...) -> (B,)."""
    length: Tensor = x.flatten(1).norm(dim=1)
    return length


def each(values: Tensor, x: Tensor) -> Tensor:
    """One value a clip, (B,), shaped to be broadcast over the clips of x: (B, 1, ...)."""
    return values.view(-1, *[1] * (x.dim() - 1))


def audio_budget(eps: float, norm: Norm = "linf") -> Budget:
    """A budget for waveforms in [-1, 1]; eps in waveform units."""
    return Budget(eps, -1.0, 1.0, norm=norm)


def snr_budget(decibels: float) -> Budget:
    """A budget for waveforms in which each clip has at least this signal-to-noise ratio."""
    return Budget(10 ** (-decibels / 20), -1.0, 1.0, norm="l2", relative=True)


def visual_budget(eps: float, units: Units = "imagenet", norm: Norm = "linf") -> Budget:
    """A budget for frames in [0, 1]; eps in pixel values or in ImageNet-normalized units (pixel / channel's std)."""
    return Budget(eps, 0.0, 1.0, IMAGENET_STD if units == "imagenet" else (1.0,), norm)


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

    def scaled(self, share: float) -> "Threat":
        """The same with a share of each eps."""
        return Threat(
            *(budget and replace(budget, eps=share * budget.eps) for budget in self.budgets)
        )

    def project(self, adversarial: Clip, clean: Clip) -> Clip:
        """The allowed clip that is nearest to `adversarial`; an untouched modality is the clean tensor itself."""
        pairs = zip(self.budgets, adversarial, clean, strict=True)
        return Clip(*(c if b is None else b.project(x, c) for b, x, c in pairs))

    def distances(self, adversarial: Clip, clean: Clip) -> tuple[Tensor, Tensor]:
        """How far each clip's sound and frames were moved, (B,) each, in units of eps; the paper's without a budget."""
        audio, visual = self.audio or audio_budget(0), self.visual or visual_budget(0)
        return audio.distance(adversarial.audio, clean.audio), visual.distance(
            adversarial.visual, clean.visual
        )

    def contains(self, adversarial: Clip, distances: tuple[Tensor, Tensor]) -> Tensor:
        """Whether each clip, at its `distances`, keeps to this threat: (B,) bool; what it leaves alone may not move."""
        found = zip(self.budgets, adversarial, distances, strict=True)
        kept = [
            distance == 0 if budget is None else budget.contains(x, distance)
            for budget, x, distance in found
        ]
        return kept[0] & kept[1]


def suite(
    eps: float,
    *,
    audio: float = 1.0,
    visual: float = 1.0,
    single: float = 1.0,
    units: Units = "imagenet",
    norm: Norm = "linf",
    snr: float | None = None,
) -> dict[Condition, Threat]:
    """The three threats of a table: audio alone, visual alone, both at once.

    Args:
        eps: the budget of the joint attack, in the units below.
        audio: factor on eps for the waveform (waveform units).
        visual: factor on eps for the frames (`units`).
        single: factor on both where one modality is attacked alone (2 in the paper's Table 1: 0.012
            against 0.006).
        units: what a visual eps is measured in; see `visual_budget`.
        norm: of both budgets, over all values of a clip.
        snr: the waveform's budget as a signal-to-noise ratio in dB, in the place of `eps * audio`.

    Raises:
        ValueError: a budget is negative or not finite.
    """

    def sound(factor: float) -> Budget:
        if snr is None:
            return audio_budget(eps * audio * factor, norm)
        budget = snr_budget(snr)
        return replace(budget, eps=budget.eps * factor)

    return {
        "audio": Threat(audio=sound(single)),
        "visual": Threat(visual=visual_budget(eps * visual * single, units, norm)),
        "audiovisual": Threat(sound(1.0), visual_budget(eps * visual, units, norm)),
    }


def modalities(threat: Threat) -> Sequence[bool]:
    """Which fields of a Clip the threat lets an attack touch."""
    return [budget is not None for budget in threat.budgets]
