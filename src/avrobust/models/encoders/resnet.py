"""ResNets from torchvision: the paper's ResNet-18, and a shallower one."""

from collections import OrderedDict
from pathlib import Path
from typing import Literal, final
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights
from torchvision.models.resnet import BasicBlock
from torchvision.models.resnet import ResNet as TorchvisionResNet

from avrobust.errors import UserError
from avrobust.models.encoders.base import VisualEncoder


@final
class ResNet(VisualEncoder):
    """A torchvision ResNet of basic blocks without its classifier: 512 numbers a frame.

    Args:
        layers: blocks a stage; (2, 2, 2, 2) is ResNet-18.
        weights: None for random weights, "imagenet" to fetch torchvision's (ResNet-18 only), or the
            path of a state dict.
        stride: pixels from one place of the map to the next. Below 32 the last stages keep the
            resolution of the stage before, as is usual for localization (Choe et al., CVPR 2020).
            The same weights fit.

    Raises:
        UserError: the weights cannot be fetched or read, or do not fit this net.
    """

    def __init__(
        self,
        layers: tuple[int, int, int, int] = (2, 2, 2, 2),
        weights: str | None = None,
        stride: Literal[8, 16, 32] = 32,
    ) -> None:
        super().__init__()
        self.dim = 512
        net = TorchvisionResNet(BasicBlock, list(layers))
        if weights is not None:
            _load(net, weights)
        for stage in {32: (), 16: (net.layer4,), 8: (net.layer3, net.layer4)}[stride]:
            _keep_resolution(stage)
        parts = OrderedDict(net.named_children())
        del parts["avgpool"], parts["fc"]
        self.net = nn.Sequential(parts)

    def map_frames(self, frames: Tensor) -> Tensor:
        return self.net(frames)  # type: ignore[no-any-return]


def _keep_resolution(stage: nn.Sequential) -> None:
    """Takes the stride out of a stage."""
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)


def _load(net: nn.Module, weights: str) -> None:
    state = _fetch() if weights == "imagenet" else _read(Path(weights))
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"visual.weights={weights}: these weights are not of this network ({reason})"
        ) from None


def _fetch() -> dict[str, Tensor]:
    try:
        weights = ResNet18_Weights.IMAGENET1K_V1
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise UserError(
            f"visual.weights=imagenet: the ImageNet weights could not be fetched ({error}); "
            "give a file (visual.weights=FILE) or train from random weights (visual=resnet18)"
        ) from None
    return state


def _read(path: Path) -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds for a file that is not a state dict
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"visual.weights={path}: cannot be read as a PyTorch state dict ({reason})"
        ) from None
    return state
