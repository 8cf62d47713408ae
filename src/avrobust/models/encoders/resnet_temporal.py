"""A ResNet on each frame, then convolutions over time: a light net that sees motion."""

from typing import ClassVar, final

from torch import Tensor, nn

from avrobust.models.encoders.base import VisualEncoder
from avrobust.models.encoders.resnet import Layers, Stride, resnet_stages
from avrobust.ranges import PositiveInt


@final
class ResNetTemporal(VisualEncoder):
    """The maps of `ResNet`, frame by frame, then residual convolutions over three frames each.

    The late temporal convolutions are those of R(2+1)D's top-heavy variants (rMC, Tran et al. 2018,
    arXiv 1711.11248), kept light: frames are mixed on the last map alone. The clip is padded with
    zeros in time, so a circular shift of the frames changes the embedding as well.

    Args:
        layers: as for `ResNet`.
        weights: of the ResNet, as for `ResNet`; the temporal blocks always start at random.
        stride: as for `ResNet`.
        blocks: residual temporal blocks; each sees one frame more to both sides.

    Raises:
        UserError: the weights cannot be fetched or read, or do not fit this net.
        ValueError: a number is out of range.
    """

    min_frames: ClassVar[int] = 2

    def __init__(
        self,
        layers: Layers = (1, 1, 1, 1),
        weights: str | None = None,
        stride: Stride = 32,
        blocks: PositiveInt = 2,
    ) -> None:
        super().__init__()
        self.dim = 512
        self.net = resnet_stages(layers, weights, stride)
        self.temporal = nn.Sequential(*(_TemporalBlock(self.dim) for _ in range(blocks)))

    def map_video(self, video: Tensor) -> Tensor:
        clips, times = video.shape[:2]
        frame_maps = self.net(video.flatten(0, 1))  # (B T, dim, h, w)
        height, width = frame_maps.shape[2:]
        maps = frame_maps.view(clips, times, self.dim, height * width)
        mixed = self.temporal(maps.transpose(1, 2))  # (B, dim, T, h w)
        return mixed.transpose(1, 2).unflatten(3, (height, width))  # type: ignore[no-any-return]


@final
class _TemporalBlock(nn.Module):
    """x + ReLU(BatchNorm(convolution over three frames)): (B, dim, T, places) to the same shape."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, dim, (3, 1), padding=(1, 0), bias=False)
        self.norm = nn.BatchNorm2d(dim)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.relu(self.norm(self.conv(x)))  # type: ignore[no-any-return]
