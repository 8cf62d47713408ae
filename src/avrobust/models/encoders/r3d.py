"""torchvision's 3-D ResNet-18, which sees motion from its first convolution on."""

from collections import OrderedDict
from typing import ClassVar, final

from torch import Tensor, nn

from avrobust.models.encoders.base import VisualEncoder
from avrobust.models.encoders.weights import load_weights

# Of Kinetics-400, with which the published weights were trained.
KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_STD = (0.22803, 0.22145, 0.216989)


@final
class R3D18(VisualEncoder):
    """R3D-18 (Tran et al. 2018, arXiv 1711.11248) without its classifier: 512 numbers a clip.

    33.2 million parameters. The map has a time for every 8 frames, at least one, and a place for
    every 16 pixels. The published weights were trained on 16 frames of 112 pixels, 1/15 s apart.

    Args:
        weights: None for random weights, "kinetics" to fetch torchvision's, or the path of a state
            dict.

    Raises:
        UserError: the weights cannot be fetched or read, or do not fit this net.
    """

    min_frames: ClassVar[int] = 2

    def __init__(self, weights: str | None = None) -> None:
        # Imported where a net is built, as in `resnet_stages`.
        from torchvision.models.video import R3D_18_Weights, r3d_18
        from torchvision.models.video.resnet import Conv3DSimple

        super().__init__(KINETICS_MEAN, KINETICS_STD)
        self.dim = 512
        net = r3d_18()
        if weights is not None:
            load_weights(net, weights, "kinetics", R3D_18_Weights.KINETICS400_V1)
        parts = OrderedDict(net.named_children())
        del parts["avgpool"], parts["fc"]
        self.net = nn.Sequential(parts)
        # torchvision's subclass adds constructors alone, and torch.fx, which folds BatchNorm into
        # convolutions for evaluation, recognizes nn.Conv3d itself and no subclass.
        for module in self.net.modules():
            if isinstance(module, Conv3DSimple):
                module.__class__ = nn.Conv3d

    def map_video(self, video: Tensor) -> Tensor:
        maps = self.net(video.transpose(1, 2))  # (B, dim, T', h, w)
        return maps.transpose(1, 2)  # type: ignore[no-any-return]
