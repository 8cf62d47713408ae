"""The plain convolutional stack that the small encoders share."""

from torch import nn


def conv_stack(inputs: int, widths: tuple[int, ...]) -> nn.Sequential:
    """Blocks of [Conv 3x3, BatchNorm, ReLU, MaxPool 2]: (N, inputs, H, W) -> (N, widths[-1], H / 2^k, W / 2^k)."""
    blocks: list[nn.Module] = []
    for i, o in zip((inputs, *widths[:-1]), widths, strict=True):
        blocks += [
            nn.Conv2d(i, o, 3, padding=1, bias=False),
            nn.BatchNorm2d(o),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        ]
    return nn.Sequential(*blocks)
