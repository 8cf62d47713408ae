"""A small visual net that trains on a CPU in a minute."""

from typing import final

from torch import Tensor

from avrobust.models.encoders.base import FrameEncoder
from avrobust.models.encoders.blocks import conv_stack
from avrobust.ranges import Widths


@final
class CNN(FrameEncoder):
    """Blocks of [Conv 3x3, BatchNorm, ReLU, MaxPool 2]; mean over the frame.

    Args:
        widths: output channels of each block; the last is the embedding's size.
    """

    def __init__(self, widths: Widths = (32, 64, 128, 512)) -> None:
        super().__init__()
        self.dim = widths[-1]
        self.stack = conv_stack(3, widths)

    def map_frames(self, frames: Tensor) -> Tensor:
        return self.stack(frames)  # type: ignore[no-any-return]
