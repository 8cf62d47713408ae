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

Forward = Callable[[nn.Module, Clip], Tensor]  # (model, clips) -> logits (B, C)
Front = Callable[[Tensor], Tensor]  # one modality's input -> what the model gets
Rewrite = Callable[[Tensor, Tensor], Tensor]  # (true gradient, where) -> the gradient that is given


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


def fixed(x: Tensor, *, normal: bool = False) -> Tensor:
    """The same random numbers for every clip and call: uniform in [0, 1] or normal, (1, ...)."""
    rng, shape = torch.Generator().manual_seed(7), x.shape[1:]
    numbers = torch.randn(shape, generator=rng) if normal else torch.rand(shape, generator=rng)
    return numbers.to(x).unsqueeze(0)


def rms(x: Tensor) -> Tensor:
    """The root mean square of each clip, broadcastable to the clips."""
    return x.square().flatten(1).mean(1).sqrt().view(-1, *[1] * (x.dim() - 1))


def quantile(x: Tensor, share: float) -> Tensor:
    """The value below which a share of each clip's values lie, broadcastable to the clips."""
    values = x.flatten(1)
    return values.kthvalue(int(share * values.shape[1]), 1).values.view(-1, *[1] * (x.dim() - 1))


# Rewritten gradients: the forward pass is the model's, bit for bit.


def detached(gradient: Tensor, x: Tensor) -> Tensor:
    """No gradient at a fixed 80 % of the values."""
    return gradient * (fixed(x) > 0.8)


def sign_flipped(gradient: Tensor, x: Tensor) -> Tensor:
    """The sign is flipped at a fixed 40 % of the values."""
    return torch.where(fixed(x) < 0.4, -gradient, gradient)


def strongest_removed(gradient: Tensor, x: Tensor) -> Tensor:
    """No gradient at the 40 % of the values where it is strongest."""
    return gradient * (gradient.abs() <= quantile(gradient.abs(), 0.6))


def strongest_reversed(gradient: Tensor, x: Tensor) -> Tensor:
    """A factor that falls smoothly with the gradient's size, and below 0 where it is large."""
    return gradient * (1 - (gradient / (1.3 * rms(gradient)).clamp(min=1e-30)).square())


def weakest_reversed(gradient: Tensor, x: Tensor) -> Tensor:
    """The weakest 70 % reversed and made small: few angles turn, most signs do."""
    return torch.where(gradient.abs() < quantile(gradient.abs(), 0.7), -0.02 * gradient, gradient)


def constant_dominates(gradient: Tensor, x: Tensor) -> Tensor:
    """A fixed pattern, orthogonal to the gradient and four times as long, is added."""
    pattern = fixed(x, normal=True).expand_as(gradient)
    share = (pattern * gradient).flatten(1).mean(1) / gradient.square().flatten(1).mean(1).clamp(
        min=1e-30
    )
    orthogonal = pattern - share.view(-1, *[1] * (x.dim() - 1)) * gradient
    return gradient + 4 * rms(gradient) * orthogonal


def noise_of_the_input(gradient: Tensor, x: Tensor) -> Tensor:
    """Noise that is seeded by the input's values, four times as long as the gradient, is added."""
    noisy = torch.empty_like(gradient)
    for i, values in enumerate(x.flatten(1)):
        seed = int(values.double().abs().sum().item() * 1e6) % 2**31
        rng = torch.Generator().manual_seed(seed)
        noisy[i] = torch.randn(x.shape[1:], generator=rng).to(x)
    return gradient + 4 * rms(gradient) * noisy


def low_frequencies(gradient: Tensor, x: Tensor) -> Tensor:
    """Every 16 neighbors of a line get the mean of their gradients."""
    blocks = gradient.unflatten(-1, (-1, 16))
    return blocks.mean(-1, keepdim=True).expand_as(blocks).flatten(-2)


def shuffled(gradient: Tensor, x: Tensor) -> Tensor:
    """The gradients of every 16 neighbors of a line are shuffled, always in the same way."""
    order = torch.randperm(16, generator=torch.Generator().manual_seed(7)).to(x.device)
    return gradient.unflatten(-1, (-1, 16))[..., order].flatten(-2)


def mirrored(gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient backwards in time, or mirrored from left to right."""
    return gradient.flip(-1)


def shifted(gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient five samples or pixels too late."""
    return gradient.roll(5, -1)


def colors_rotated(gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient of red for green, of green for blue and of blue for red, reversed in sign."""
    return -gradient.roll(1, 2)


def right_on_files(gradient: Tensor, x: Tensor) -> Tensor:
    """Right where all values are those of 8-bit or 16-bit files, reversed at every other input."""
    levels = 32768 if x.dim() == 3 else 255
    rest = (x * levels - (x * levels).round()).abs().flatten(1).amax(1)
    return torch.where((rest < 0.02).view(-1, *[1] * (x.dim() - 1)), gradient, -gradient)


def half_of_the_clips(gradient: Tensor, x: Tensor) -> Tensor:
    """Right for the clips whose first half is the stronger one, reversed for the others."""
    first, second = x.abs().flatten(1).chunk(2, 1)
    stronger = first.sum(1) > second.sum(1)
    return torch.where(stronger.view(-1, *[1] * (x.dim() - 1)), gradient, -gradient)


def predicted_reversed(gradient: Tensor, logits: Tensor) -> Tensor:
    """The gradient of the predicted class's logit, and of no other, is reversed."""
    predicted = F.one_hot(logits.argmax(1), logits.shape[1]).bool()
    return torch.where(predicted, -gradient, gradient)


def classes_rotated(gradient: Tensor, logits: Tensor) -> Tensor:
    """Each logit gets the gradient of the next class's."""
    return gradient.roll(1, 1)


# Front ends that are taken for the identity when gradients are computed.


def low_pass(x: Tensor) -> Tensor:
    """Three taps: 1/4, 1/2, 1/4."""
    left, right = x.roll(1, -1), x.roll(-1, -1)
    return 0.25 * left + 0.5 * x + 0.25 * right


def delay(x: Tensor) -> Tensor:
    """Five samples later, or five pixels to the right."""
    return x.roll(5, -1)


def mirror(x: Tensor) -> Tensor:
    """Left and right exchanged."""
    return x.flip(-1)


def rippled(x: Tensor) -> Tensor:
    """A ripple far below the budget whose slope is four times that of the identity."""
    size, slope = (2e-5 if x.dim() == 3 else 2e-4), 4.0
    return x + size * torch.sin(x * (slope / size))


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
            clip = Clip(*(_Rewritten.apply(x, sign_flipped) for x in clip))
        return plain(model, clip)

    return Fake(model, spoiled)


def _rewritten(modality: Modality, rewrite: Rewrite) -> Planted:
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
        passed = at_input(modality, lambda x: with_gradient_of(rippled(x), x))
        return Fake(model, at_input(modality, rippled), passed)

    return Planted(f"{modality}_{rippled.__name__}", modality, make, rippled.__doc__ or "")


def _whole(make: Callable[[nn.Module], Fake]) -> Planted:
    return Planted(make.__name__, "both", make, make.__doc__ or "")


def _family() -> tuple[Planted, ...]:
    rewrites: tuple[Rewrite, ...] = (
        detached,
        sign_flipped,
        strongest_removed,
        strongest_reversed,
        weakest_reversed,
        constant_dominates,
        noise_of_the_input,
        low_frequencies,
        shuffled,
        mirrored,
        shifted,
        right_on_files,
        half_of_the_clips,
    )
    fakes: list[Planted] = []
    for modality in MODALITIES:
        for rewrite in rewrites:
            fakes.append(_rewritten(modality, rewrite))
        for front in (low_pass, delay, mirror):
            fakes.append(_straight_through(modality, front))
        fakes.append(_shattered(modality))
    fakes.append(_rewritten("visual", colors_rotated))
    for rewrite in (predicted_reversed, classes_rotated):
        fakes.append(_logits(rewrite))
    makes = (surrogate, other_when_differentiated, elsewhere, hard_labels, margin_clamped)
    for make in (*makes, joint_only):
        fakes.append(_whole(make))
    return tuple(fakes)


FAKES = _family()
