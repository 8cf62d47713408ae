"""Threats: how far an attacker may move each modality, how a change is measured and projected.

An attack never decides what is allowed: it asks the threat to project, and `evaluate` asks the
threat to measure.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

import torch
from torch import Generator, Tensor

from avrobust.ranges import Decibels, FiniteFloat, NonNegativeFloat, PositiveFloat
from avrobust.types import IMAGENET_STD, Clip, Modality
from avrobust.utils.arguments import checks_arguments

Units = Literal["imagenet", "pixel"]
Norm = Literal["linf", "l2"]

# Float32 cannot hold clean + eps exactly: a projection may lie this far outside, in input values.
TOLERANCE = 1e-6
L2_TOLERANCE = 1e-3  # share of eps; many such rounding errors add up in an L2 norm


@final
@checks_arguments
@dataclass(frozen=True)
class Budget:
    """A ball of radius `eps` units around the clean input, cut to the valid values [low, high].

    Args:
        eps: radius in units; at least 0.
        low: smallest valid input value.
        high: largest valid input value.
        unit: size of one unit of eps in input values: (1.0,) or, for frames, one number a channel.
        norm: taken over all values of a clip.
        relative: eps is a share of the clean clip's own L2 norm. Every clip then has the same
            signal-to-noise ratio, -20 log10(eps) dB, and a silent clip cannot be moved.

    Raises:
        ValueError: a number is out of range, or `relative` with a norm other than l2.
    """

    eps: NonNegativeFloat
    low: FiniteFloat
    high: FiniteFloat
    unit: tuple[PositiveFloat, ...] = (1.0,)
    norm: Norm = "linf"
    relative: bool = False

    def __post_init__(self) -> None:
        if self.relative and self.norm != "l2":
            raise ValueError("a signal-to-noise ratio is a budget of the l2 norm")

    def scale(self, x: Tensor) -> Tensor:
        """The size of one unit, broadcastable to audio (B, 1, S) or frames (B, T, 3, H, W)."""
        # Not torch.tensor(..., device=): its copy from the host makes every step wait for the GPU.
        scale = torch.stack([x.new_full((), unit) for unit in self.unit])
        return scale if len(self.unit) == 1 else scale[:, None, None]

    def radius(self, clean: Tensor) -> float | Tensor:
        """The ball's radius in units: one number, or one for each clip, (B, 1, ...)."""
        if not self.relative:
            return self.eps
        return self.eps * each(l2_norm(clean / self.scale(clean)), clean)

    def unlimited(self) -> "Budget":
        """The L-infinity budget within which every valid value can reach every other one."""
        return Budget((self.high - self.low) / min(self.unit), self.low, self.high, self.unit)

    def noise(self, clean: Tensor, generators: Sequence[Generator], *, fill: bool) -> Tensor:
        """A random offset within the ball for each clip: uniform, or on the sphere of an L2 ball.

        Args:
            clean: the clips that the offset is for, (B, ...).
            generators: one a clip.
            fill: scale a uniform draw until its largest value is eps.

        Returns:
            Offsets of the shape of `clean`, in input values.
        """
        # Drawn on the CPU, clip by clip: neither the device nor the batch's other clips matter.
        draw = torch.rand if self.norm == "linf" else torch.randn
        shape, dtype = clean.shape[1:], clean.dtype
        noise = torch.stack([draw(shape, generator=g, dtype=dtype) for g in generators])
        noise = noise.to(clean.device)
        if self.norm == "l2":
            return self._unit_direction(noise) * self.radius(clean) * self.scale(clean)
        noise = 2 * noise - 1
        if fill:
            noise = noise / each(noise.abs().flatten(1).amax(1), noise)
        return noise * self.eps * self.scale(clean)

    def move(self, x: Tensor, direction: Tensor, fraction: float | Tensor, clean: Tensor) -> Tensor:
        """Steepest ascent: a step of `fraction` of eps that gains most along `direction`.

        Args:
            x: the current inputs, (B, ...).
            direction: for example a gradient, of the same shape; NaN counts as 0.
            fraction: one number for all clips or one for each, (B,).
            clean: the clean inputs, which a relative radius depends on.
        """
        share = each(fraction, x) if isinstance(fraction, Tensor) else fraction
        unit_direction = self._unit_direction(direction.nan_to_num())
        return x + (share * self.radius(clean)) * self.scale(x) * unit_direction

    def _unit_direction(self, direction: Tensor) -> Tensor:
        """The vector of norm 1 that gains most along `direction`; 0 where `direction` is 0."""
        if self.norm == "linf":
            return direction.sign()
        length = l2_norm(direction)
        return direction / each(length.where(length > 0, 1.0), direction)

    def project(self, x: Tensor, clean: Tensor) -> Tensor:
        """The point of the ball that is nearest to `x`, cut to the valid values."""
        scale, radius = self.scale(x), self.radius(clean)
        if self.norm == "linf":
            change = torch.clamp(x - clean, -radius * scale, radius * scale)
        else:
            length = each(l2_norm((x - clean) / scale), x)
            shrink = (radius / length.clamp(min=torch.finfo(x.dtype).tiny)).clamp(max=1.0)
            change = (x - clean) * shrink
        return (clean + change).clamp(self.low, self.high)

    def distance(self, x: Tensor, clean: Tensor) -> Tensor:
        """How far `x` is from `clean`, in units of eps: (B,)."""
        if x is clean:  # the usual case of an untouched modality: saves a pass over all values
            return x.new_zeros(len(x))
        change = (x - clean) / self.scale(x)
        if self.norm == "linf":
            return change.abs().flatten(1).amax(1)
        length = l2_norm(change)
        if not self.relative:
            return length
        clean_length = l2_norm(clean / self.scale(clean))
        return length / clean_length.where(clean_length > 0, 1.0)

    def valid(self, x: Tensor) -> Tensor:
        """Whether each clip of `x` is finite and inside [low, high]: (B,) bool."""
        return ((x >= self.low) & (x <= self.high)).flatten(1).all(1)

    def contains(self, x: Tensor, distance: Tensor) -> Tensor:
        """Whether each clip is valid and inside the ball, up to rounding: (B,) bool.

        Args:
            x: the clips, (B, ...).
            distance: their distances from the clean clips, (B,), as `distance` gives them.
        """
        tolerance = TOLERANCE / min(self.unit)
        if self.norm == "l2":
            tolerance = L2_TOLERANCE * self.eps
        return self.valid(x) & (distance <= self.eps + tolerance)


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


def snr_budget(decibels: Decibels) -> Budget:
    """A budget for waveforms in which each clip has at least this signal-to-noise ratio."""
    return Budget(10 ** (-decibels / 20), -1.0, 1.0, norm="l2", relative=True)


@checks_arguments
def visual_budget(eps: NonNegativeFloat, units: Units = "imagenet", norm: Norm = "linf") -> Budget:
    """A budget for frames in [0, 1].

    Args:
        eps: radius in `units`.
        units: "pixel" for pixel values, "imagenet" for pixel values divided by the channel's
            ImageNet standard deviation.
        norm: taken over all values of a clip.

    Raises:
        ValueError: eps is negative or not finite, or there are no such units or norm.
    """
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

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that the threat lets an attack change."""
        audio: tuple[Modality, ...] = () if self.audio is None else ("audio",)
        visual: tuple[Modality, ...] = () if self.visual is None else ("visual",)
        return audio + visual

    def only(self, modalities: Collection[Modality]) -> "Threat":
        """The same threat against these modalities alone."""
        return Threat(
            self.audio if "audio" in modalities else None,
            self.visual if "visual" in modalities else None,
        )

    def scaled(self, share: float) -> "Threat":
        """The same threat with a share of each eps."""
        return Threat(*(b and replace(b, eps=share * b.eps) for b in self.budgets))

    def unlimited(self) -> "Threat":
        """The same modalities, each free to take every valid value."""
        return Threat(*(b and b.unlimited() for b in self.budgets))

    def project(self, adversarial: Clip, clean: Clip) -> Clip:
        """The allowed clips nearest to `adversarial`; an untouched modality is the clean tensor."""
        audio, visual = clean
        if self.audio is not None:
            audio = self.audio.project(adversarial.audio, clean.audio)
        if self.visual is not None:
            visual = self.visual.project(adversarial.visual, clean.visual)
        return Clip(audio, visual)

    def distances(self, adversarial: Clip, clean: Clip) -> tuple[Tensor, Tensor]:
        """How far sound and frames of each clip are from the clean ones, (B,) each.

        Measured as each budget measures. A modality without a budget is measured by its largest
        change: in waveform units, or in pixel values divided by the ImageNet standard deviation.
        """
        audio, visual = self.audio or audio_budget(0), self.visual or visual_budget(0)
        return (
            audio.distance(adversarial.audio, clean.audio),
            visual.distance(adversarial.visual, clean.visual),
        )

    def contains(self, adversarial: Clip, distances: tuple[Tensor, Tensor]) -> Tensor:
        """Whether each clip keeps to this threat: (B,) bool.

        Args:
            adversarial: the clips.
            distances: their distances from the clean ones, as `distances` gives them. The distance
                of a modality without a budget has to be 0.
        """
        audio, visual = distances
        audio_kept, visual_kept = audio == 0, visual == 0
        if self.audio is not None:
            audio_kept = self.audio.contains(adversarial.audio, audio)
        if self.visual is not None:
            visual_kept = self.visual.contains(adversarial.visual, visual)
        return audio_kept & visual_kept


@checks_arguments
def suite(
    eps: NonNegativeFloat,
    *,
    audio: NonNegativeFloat = 1.0,
    visual: NonNegativeFloat = 1.0,
    single_modality_factor: NonNegativeFloat = 1.0,
    units: Units = "imagenet",
    norm: Norm = "linf",
    snr: Decibels | None = None,
) -> dict[str, Threat]:
    """The three threats of a table: of the conditions "audio", "visual" and "audiovisual".

    Args:
        eps: the budget of the joint attack, in the units below.
        audio: factor on eps for the waveform (waveform units).
        visual: factor on eps for the frames (`units`).
        single_modality_factor: factor on both budgets where one modality is attacked alone (2 in
            the paper's Table 1: 0.012 against 0.006).
        units: what a visual eps is measured in: "pixel" for pixel values, "imagenet" for pixel
            values divided by the channel's ImageNet standard deviation.
        norm: norm of both budgets, over all values of a clip.
        snr: the waveform's budget as a signal-to-noise ratio in dB, in place of `eps * audio`.

    Raises:
        ValueError: a number is out of range, or there are no such units or norm.
    """

    def waveform(factor: float) -> Budget:
        if snr is None:
            return audio_budget(eps * audio * factor, norm)
        budget = snr_budget(snr)
        return replace(budget, eps=budget.eps * factor)

    alone = single_modality_factor
    return {
        "audio": Threat(audio=waveform(alone)),
        "visual": Threat(visual=visual_budget(eps * visual * alone, units, norm)),
        "audiovisual": Threat(waveform(1.0), visual_budget(eps * visual, units, norm)),
    }


@checks_arguments
def snr_suite(
    eps: NonNegativeFloat,
    *,
    snr: Decibels,
    visual: NonNegativeFloat = 1.0,
    single_modality_factor: NonNegativeFloat = 1.0,
    units: Units = "pixel",
    norm: Literal["l2"] = "l2",
) -> dict[str, Threat]:
    """`suite` with the sound bounded by a signal-to-noise ratio and the frames by an L2 ball.

    Args:
        eps: the budget of the frames in the joint attack.
        snr: the budget of the waveform, in dB.
        visual: factor on eps.
        single_modality_factor: as in `suite`.
        units: as in `suite`.
        norm: of both budgets.

    Raises:
        ValueError: a number is out of range, or there are no such units or norm.
    """
    return suite(
        eps,
        visual=visual,
        single_modality_factor=single_modality_factor,
        units=units,
        norm=norm,
        snr=snr,
    )
