"""The paper's audio net: 1-D convolutions on the raw waveform."""

from typing import final

from torch import Tensor, nn

from avrobust.models.encoders.base import AudioEncoder
from avrobust.ranges import Widths


@final
class Waveform(AudioEncoder):
    """Four blocks of [Conv k3 stride 2, BatchNorm, ReLU] twice, then MaxPool 2; max over time.

    Tian & Xu 2021. With the paper's widths it has 1,566,528 parameters. The 1-D convolutions are
    written as 2-D ones of height 1: the same numbers, and twice as fast on a CPU, whose library has
    no fast 1-D path. Needs at least 4,096 samples.

    Args:
        widths: output channels of each block; the last is the embedding's size.
    """

    def __init__(self, widths: Widths = (64, 128, 256, 512)) -> None:
        super().__init__()
        self.dim = widths[-1]
        blocks, inputs = [], 1
        for width in widths:
            blocks.append(_block(inputs, width))
            inputs = width
        self.blocks = nn.Sequential(*blocks)

    def forward(self, audio: Tensor) -> Tensor:
        return self.blocks(audio.unsqueeze(2)).amax((2, 3))  # type: ignore[no-any-return]


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*_conv(inputs, outputs), *_conv(outputs, outputs), nn.MaxPool2d((1, 2)))


def _conv(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, (1, 3), stride=(1, 2), padding=(0, 1))
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
