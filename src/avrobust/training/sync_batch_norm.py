"""Batch normalization over the whole batch of a training on several devices.

Without it every process normalizes its part of the batch alone, and two devices train another model
than one does.
"""

from types import MethodType
from typing import final

import torch
import torch.distributed as dist
from pytorch_lightning.plugins.layer_sync import LayerSync, TorchSyncBatchNorm
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm


@final
class SyncBatchNorm(LayerSync):
    """torch's SyncBatchNorm on GPUs, and the same in plain tensor operations on CPUs."""

    def __init__(self) -> None:
        self.on_gpus = TorchSyncBatchNorm()

    def apply(self, model: nn.Module) -> nn.Module:
        if dist.get_backend() == "nccl":
            return self.on_gpus.apply(model)
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.forward = MethodType(_normalize, module)  # type: ignore[method-assign]
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                vars(module).pop("forward", None)
        return self.on_gpus.revert(model)


def _normalize(norm: _BatchNorm, x: Tensor) -> Tensor:
    """What BatchNorm makes of this process's part of a batch.

    Args:
        norm: the layer.
        x: (B, C, ...).
    """
    if not norm.training:
        return type(norm).forward(norm, x)
    values = x.transpose(0, 1).flatten(1)  # (C, B * ...)
    count = torch.tensor(float(values.shape[1]))
    dist.all_reduce(count)
    # Gradients flow through both sums to the parts of all processes.
    mean = _summed(values.sum(1)) / count
    variance = _summed((values - mean[:, None]).square().sum(1)) / count
    _update(norm, mean.detach(), variance.detach() * count / (count - 1))
    scale = (variance + norm.eps).rsqrt() * norm.weight
    shape = (1, -1, *[1] * (x.dim() - 2))
    return (x - mean.view(shape)) * scale.view(shape) + norm.bias.view(shape)


def _summed(own: Tensor) -> Tensor:
    total: Tensor = all_reduce(own)  # type: ignore[no-untyped-call]
    return total


def _update(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Moves the running statistics; the variance is the unbiased one, as in torch's layer."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance, norm.momentum)
