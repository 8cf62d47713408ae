"""Models with an honest forward pass and a spoiled backward pass, to test what sees through them.

A gradient attack on such a model finds less than it would with the true gradients, so that its
robust accuracy looks high although the model is as weak as before. `honest` is the model with the
same predictions and the true gradients: what an attack leaves of it is the truth.
"""

import copy
from collections.abc import Callable
from typing import Literal, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avrobust.types import MODALITIES, Clip, Modality
from tests import spoiling
from tests.spoiling import Front, Rewrite, fixed

Forward = Callable[[nn.Module, Clip], Tensor]  # (model, clips) -> logits (B, C)


def plain(model: nn.Module, clip: Clip) -> Tensor:
    """The logits of the model as it is."""
    logits: Tensor = model(clip)
    return logits


@final
class Fake(nn.Module):
    """A model with a spoiled backward pass, as `evaluate` takes it.

    Args:
        model: honest, clips to logits (B, C).
        spoiled: the forward pass whose gradients are wrong.
        true: a forward pass with the same predictions and the true gradients.
    """

    def __init__(self, model: nn.Module, spoiled: Forward, true: Forward = plain) -> None:
        super().__init__()
        self.model, self.spoiled, self.true = model, spoiled, true

    def forward(self, clip: Clip) -> Tensor:
        return self.spoiled(self.model, clip)

    @property
    def honest(self) -> nn.Module:
        """The model with the same predictions and the true gradients."""
        return self.model if self.true is plain else Fake(self.model, self.true, self.true)


class Planted(NamedTuple):
    """One fake of the family."""

    name: str
    spoils: Modality | Literal["both"]  # whose gradient is wrong
    make: Callable[[nn.Module], Fake]
    what: str  # what is spoiled, one line


class _Rewritten(torch.autograd.Function):
    """The identity, with a gradient that a function rewrites."""

    @staticmethod
    def forward(ctx, x: Tensor, rewrite: Rewrite) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        ctx.rewrite = rewrite
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        return ctx.rewrite(gradient, *ctx.saved_tensors), None


def at_input(modality: Modality, front: Front) -> Forward:
    """The model behind a front end of one modality."""

    def forward(model: nn.Module, clip: Clip) -> Tensor:
        return plain(model, clip._replace(**{modality: front(getattr(clip, modality))}))

    return forward


def with_gradient_of(value: Tensor, surrogate: Tensor) -> Tensor:
    """The first tensor, bit for bit, with the gradient of the second one."""
    return value.detach() + (surrogate - surrogate.detach())


# Fakes that are more than one function of one gradient.


def surrogate(model: nn.Module) -> Fake:
    """The gradients are those of a copy with noise on its weights."""
    other = copy.deepcopy(model)
    rng = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in other.parameters():
            noise = torch.randn(weight.shape, generator=rng).to(weight)
            weight.add_(noise * weight.square().mean().sqrt())

    def spoiled(model: nn.Module, clip: Clip) -> Tensor:
        return with_gradient_of(model(clip), other.eval()(clip))

    return Fake(model, spoiled)


def other_when_differentiated(model: nn.Module) -> Fake:
    """Where gradients are wanted, the logits too are those of shifted sounds and frames."""

    def spoiled(model: nn.Module, clip: Clip) -> Tensor:
        if not any(x.requires_grad for x in clip) or not torch.is_grad_enabled():
            return plain(model, clip)
        return plain(model, Clip(clip.audio.roll(50, -1), clip.visual.roll(5, -1)))

    return Fake(model, spoiled)


def elsewhere(model: nn.Module) -> Fake:
    """The gradients are those at a place with noise on sound and frames."""

    def spoiled(model: nn.Module, clip: Clip) -> Tensor:
        audio = clip.audio + 0.1 * fixed(clip.audio, normal=True)
        visual = clip.visual + 0.3 * fixed(clip.visual, normal=True)
        return with_gradient_of(model(clip), model(Clip(audio, visual)))

    return Fake(model, spoiled)


def hard_labels(model: nn.Module) -> Fake:
    """The logits say the predicted class alone; their gradient is that of mirrored inputs."""

    def spoiled(model: nn.Module, clip: Clip) -> Tensor:
        logits = model(clip)
        hard = 5.0 * F.one_hot(logits.argmax(1), logits.shape[1]).to(logits)
        return with_gradient_of(hard, model(Clip(clip.audio.flip(-1), clip.visual.flip(-1))))

    return Fake(model, spoiled)


def margin_clamped(model: nn.Module) -> Fake:
    """Logits end 0.5 below the largest one; where they are cut their gradient is reversed."""

    def spoiled(model: nn.Module, clip: Clip) -> Tensor:
        logits = model(clip)
        below = logits - logits.amax(1, keepdim=True).detach()
        return torch.where(below < -0.5, with_gradient_of(below.clamp(min=-0.5), -below), below)

    return Fake(model, spoiled)


def joint_only(model: nn.Module) -> Fake:
    """Right where one modality is differentiated alone; both are flipped where both are."""

    def spoiled(model: nn.Module, clip: Clip) -> Tensor:
        if all(x.requires_grad for x in clip):
            clip = Clip(*(_Rewritten.apply(x, spoiling.sign_flipped) for x in clip))
        return plain(model, clip)

    return Fake(model, spoiled)


def rewritten(modality: Modality, rewrite: Rewrite) -> Planted:
    def make(model: nn.Module) -> Fake:
        return Fake(model, at_input(modality, lambda x: _Rewritten.apply(x, rewrite)))

    return Planted(f"{modality}_{rewrite.__name__}", modality, make, rewrite.__doc__ or "")


def _logits(rewrite: Rewrite) -> Planted:
    def make(model: nn.Module) -> Fake:
        return Fake(model, lambda model, clip: _Rewritten.apply(model(clip), rewrite))

    return Planted(rewrite.__name__, "both", make, rewrite.__doc__ or "")


def _straight_through(modality: Modality, front: Front) -> Planted:
    def make(model: nn.Module) -> Fake:
        passed = at_input(modality, lambda x: with_gradient_of(front(x), x))
        return Fake(model, passed, at_input(modality, front))

    return Planted(f"{modality}_{front.__name__}_straight", modality, make, front.__doc__ or "")


def _shattered(modality: Modality) -> Planted:
    def make(model: nn.Module) -> Fake:
        passed = at_input(modality, lambda x: with_gradient_of(spoiling.rippled(x), x))
        return Fake(model, at_input(modality, spoiling.rippled), passed)

    what = spoiling.rippled.__doc__ or ""
    return Planted(f"{modality}_rippled", modality, make, what)


def _whole(make: Callable[[nn.Module], Fake]) -> Planted:
    return Planted(make.__name__, "both", make, make.__doc__ or "")


def _family() -> tuple[Planted, ...]:
    rewrites: tuple[Rewrite, ...] = (
        spoiling.detached,
        spoiling.sign_flipped,
        spoiling.strongest_removed,
        spoiling.strongest_reversed,
        spoiling.weakest_reversed,
        spoiling.constant_dominates,
        spoiling.noise_of_the_input,
        spoiling.low_frequencies,
        spoiling.shuffled,
        spoiling.mirrored,
        spoiling.shifted,
        spoiling.right_on_files,
        spoiling.half_of_the_clips,
    )
    fakes: list[Planted] = []
    for modality in MODALITIES:
        for rewrite in rewrites:
            fakes.append(rewritten(modality, rewrite))
        for front in (spoiling.delay, spoiling.mirror):
            fakes.append(_straight_through(modality, front))
        fakes.append(_shattered(modality))
    # Not on frames: blurring them costs accuracy and hardly hides anything.
    fakes.append(_straight_through("audio", spoiling.low_pass))
    fakes.append(rewritten("visual", spoiling.colors_rotated))
    for rewrite in (
        spoiling.predicted_reversed,
        spoiling.doubtful_reversed,
        spoiling.classes_rotated,
    ):
        fakes.append(_logits(rewrite))
    makes = (surrogate, other_when_differentiated, elsewhere, hard_labels, margin_clamped)
    for make in (*makes, joint_only):
        fakes.append(_whole(make))
    return tuple(fakes)


FAKES = _family()
