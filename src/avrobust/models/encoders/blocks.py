"""The plain convolutional stack that the small encoders share."""

from torch import nn


def conv_stack(inputs: int, widths: tuple[int, ...]) -> nn.Sequential:
    """Blocks of [Conv 3x3, BatchNorm, ReLU, MaxPool 2].

    (N, inputs, H, W) -> (N, widths[-1], H / 2^k, W / 2^k) for k blocks.

    Args:
        inputs: input channels.
        widths: output channels of each block.
    """
    blocks: list[nn.Module] = []
    for width in widths:
        blocks += [
            nn.Conv2d(inputs, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        ]
        inputs = width
    return nn.Sequential(*blocks)
