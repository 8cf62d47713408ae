"""Checks of what a model returns and of the labels that it is measured by."""

from collections.abc import Sequence

import torch
from torch import Tensor

from avrobust.errors import UserError


class InvalidOutputError(UserError, ValueError):
    """A model returned what is no logits, or labels do not fit its classes."""


def check_shape(logits: Tensor, clips: int | None = None) -> None:
    """Checks type and shape of logits; reads no value, so that a GPU need not be waited for.

    Args:
        logits: what the model returned.
        clips: how many clips it was called with; None if that is not known.

    Raises:
        InvalidOutputError: it is no floating-point tensor of shape (clips, at least 2 classes).
    """
    expected = f"({'clips' if clips is None else clips}, classes)"
    if not isinstance(logits, Tensor):
        kind = type(logits).__name__
        raise InvalidOutputError(f"the model returned a {kind}, expected logits {expected}")
    shape = tuple(logits.shape)
    fits = len(shape) == 2 and shape[1] > 1 and clips in (None, shape[0])
    if not fits or not logits.is_floating_point():
        kind = str(logits.dtype).removeprefix("torch.")
        raise InvalidOutputError(
            f"the model returned {kind} of shape {shape}, expected floating-point logits of shape "
            f"{expected} with at least 2 classes"
        )


def check_finite(logits: Tensor, keys: Sequence[str], condition: str) -> None:
    """Checks that logits are finite.

    Args:
        logits: (B, C), on the CPU.
        keys: of the clips.
        condition: that the clips went through, for the message.

    Raises:
        InvalidOutputError: they are not.
    """
    finite = logits.isfinite().all(1).tolist()
    if not all(finite):
        key, count = keys[finite.index(False)], finite.count(False)
        more = f" ({count} of {len(keys)} clips of its batch)" if count > 1 else ""
        raise InvalidOutputError(
            f"the model returned logits that are not finite for clip {key}{more} "
            f"under the condition {condition}: no accuracy can be given"
        )


def check_labels(label: Tensor, keys: Sequence[str], classes: int | None = None) -> None:
    """Checks the labels of a batch.

    Args:
        label: true classes.
        keys: of the clips.
        classes: how many the model has; None if that is not known.

    Raises:
        InvalidOutputError: the labels are not int64 of shape (B,), or no classes of the model.
    """
    if label.dtype != torch.int64 or label.shape != (len(keys),):
        kind = str(label.dtype).removeprefix("torch.")
        raise InvalidOutputError(
            f"labels are {kind} of shape {tuple(label.shape)}, "
            f"expected int64 of shape ({len(keys)},)"
        )
    for key, value in zip(keys, label.tolist(), strict=True):
        if value < 0 or (classes is not None and value >= classes):
            last = "the model's last class" if classes is None else str(classes - 1)
            raise InvalidOutputError(f"clip {key}: label {value} is not within 0 to {last}")
