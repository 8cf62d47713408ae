"""Functions that spoil a gradient, and front ends that are taken for the identity."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Front = Callable[[Tensor], Tensor]  # one modality's input -> what the model gets
Rewrite = Callable[[Tensor, Tensor], Tensor]  # (true gradient, where) -> the gradient that is given


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


def doubtful_reversed(gradient: Tensor, logits: Tensor) -> Tensor:
    """Right while the model is sure, reversed where its highest probability is below 0.7."""
    sure = logits.softmax(1).amax(1, keepdim=True) > 0.7
    return torch.where(sure, gradient, -gradient)


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
