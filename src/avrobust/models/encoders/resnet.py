"""ResNets from torchvision: the paper's ResNet-18, and a shallower one."""

from collections import OrderedDict
from typing import Literal, final

from torch import Tensor, nn

from avrobust.models.encoders.base import FrameEncoder
from avrobust.models.encoders.weights import load_weights
from avrobust.ranges import PositiveInt

# Blocks a stage; (2, 2, 2, 2) is ResNet-18.
Layers = tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt]
Stride = Literal[8, 16, 32]  # pixels from one place of the map to the next


@final
class ResNet(FrameEncoder):
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
        self, layers: Layers = (2, 2, 2, 2), weights: str | None = None, stride: Stride = 32
    ) -> None:
        super().__init__()
        self.dim = 512
        self.net = resnet_stages(layers, weights, stride)

    def map_frames(self, frames: Tensor) -> Tensor:
        return self.net(frames)  # type: ignore[no-any-return]


def resnet_stages(layers: Layers, weights: str | None, stride: Stride) -> nn.Sequential:
    """The ResNet up to its last map: (N, 3, H, W) -> (N, 512, h, w).

    Args:
        layers: see `ResNet`.
        weights: see `ResNet`.
        stride: see `ResNet`.

    Raises:
        UserError: the weights cannot be fetched or read, or do not fit this net.
    """
    # Imported where a net is built: a wrong command is refused before, and the import takes longer
    # than all checks.
    from torchvision.models import ResNet18_Weights
    from torchvision.models.resnet import BasicBlock
    from torchvision.models.resnet import ResNet as TorchvisionResNet

    net = TorchvisionResNet(BasicBlock, list(layers))
    if weights is not None:
        load_weights(net, weights, "imagenet", ResNet18_Weights.IMAGENET1K_V1)
    for stage in {32: (), 16: (net.layer4,), 8: (net.layer3, net.layer4)}[stride]:
        _keep_resolution(stage)
    parts = OrderedDict(net.named_children())
    del parts["avgpool"], parts["fc"]
    return nn.Sequential(parts)


def _keep_resolution(stage: nn.Sequential) -> None:
    """Takes the stride out of a stage."""
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
