"""Which frame and which stretch of sound make a sample; pure arithmetic, no files."""

import math
from typing import NamedTuple

import torch
from torch import Generator

from avrobust.data.layout import FRAME_RATE, SAMPLE_RATE


class Augmentation(NamedTuple):
    """The random choices of one training sample."""

    frame: int  # the center frame, counted from 1
    top: float  # where the crop lies, 0 to 1 of the room there is
    left: float
    flip: bool
    volume: float


def draw(frames: int, samples: int, generator: Generator) -> Augmentation:
    """The paper's training augmentation for a clip of `frames` frames and a window of `samples` audio samples.

    The center frame is uniform among those at least half a window (3 s, 24 frames, at the paper's
    size) from both ends; in a clip too short for that, among all its frames. Volume is uniform in
    [0.5, 1.5], a flip has probability 0.5.
    """
    margin = math.ceil(samples / SAMPLE_RATE / 2 * FRAME_RATE)
    low, high = (margin + 1, frames - margin) if frames > 2 * margin else (1, frames)
    frame = int(torch.randint(low, high + 1, (), generator=generator))
    top, left, flip, volume = torch.rand(4, generator=generator).tolist()
    return Augmentation(frame, top, left, flip < 0.5, 0.5 + volume)


def middle(frames: int) -> int:
    """The frame that evaluation looks at: count // 2, counted from 1."""
    return max(1, frames // 2)


def middle_of(count: int) -> int:
    """Which of the `count` frames of a sample is the one that it is centerd on, counted from 0."""
    return (count - 1) // 2


def window_start(frame: int, samples: int, available: int) -> int:
    """The first audio sample of the window centerd on a frame, at (frame - 0.5) / 8 s.

    Args:
        frame: the frame's number, counted from 1.
        samples: length of the window.
        available: length of the recording. A window that would stick out of a longer recording is
            moved inside; a shorter recording is repeated without end, so that any start is good
            (and may be negative).
    """
    start = round((frame - 0.5) / FRAME_RATE * SAMPLE_RATE) - samples // 2
    return start if available < samples else min(max(start, 0), available - samples)


def neighbors(frame: int, count: int, stride: int, frames: int) -> list[int]:
    """The numbers of `count` frames `stride` apart round `frame`, kept within 1 to `frames`."""
    offsets = [(i - middle_of(count)) * stride for i in range(count)]
    return [min(max(frame + o, 1), frames) for o in offsets]
