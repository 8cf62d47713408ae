"""Chooses the frames and the window of audio that make a sample. Pure arithmetic, no files."""

import math
from typing import NamedTuple

import torch
from torch import Generator

from avrobust.data.layout import FRAME_RATE, SAMPLE_RATE


class Augmentation(NamedTuple):
    """The random choices of one training sample."""

    frame: int  # the center frame, counted from 1
    top: float  # position of the crop, from 0 (at the top) to 1 (at the bottom)
    left: float  # position of the crop, from 0 (at the left) to 1 (at the right)
    flip: bool  # whether to mirror the frames
    volume: float  # factor of the waveform


def draw_augmentation(frames: int, samples: int, generator: Generator) -> Augmentation:
    """Draws the paper's training augmentation.

    The center frame is uniform among the frames that are at least half a window (3 s, 24 frames, at
    the paper's size) away from both ends of the clip. If the clip is too short for that, the center
    frame is uniform among all frames. The volume is uniform in [0.5, 1.5]. A flip has probability
    0.5.

    Args:
        frames: Number of frames of the clip.
        samples: Number of audio samples of the window.
        generator: Source of randomness.
    """
    margin = math.ceil(samples / SAMPLE_RATE / 2 * FRAME_RATE)
    low, high = 1, frames
    if frames > 2 * margin:
        low, high = margin + 1, frames - margin
    frame = int(torch.randint(low, high + 1, (), generator=generator))
    top, left, flip, volume = torch.rand(4, generator=generator).tolist()
    return Augmentation(frame, top, left, flip < 0.5, 0.5 + volume)


def middle_frame(frames: int) -> int:
    """Number of the frame that evaluation uses, counted from 1: `frames // 2`, at least 1."""
    return max(1, frames // 2)


def center_index(count: int) -> int:
    """Index of the center frame among the `count` frames of a sample, counted from 0."""
    return (count - 1) // 2


def window_start(frame: int, samples: int, available: int) -> int:
    """First audio sample of the window that is centered on a frame, at (frame - 0.5) / 8 s.

    If the recording is at least as long as the window, the window is moved to lie inside. A shorter
    recording is meant to be repeated without end, so any start is valid, also a negative one.

    Args:
        frame: Number of the frame, counted from 1.
        samples: Length of the window in samples.
        available: Length of the recording in samples.
    """
    start = round((frame - 0.5) / FRAME_RATE * SAMPLE_RATE) - samples // 2
    if available < samples:
        return start
    return min(max(start, 0), available - samples)


def neighbors(frame: int, count: int, stride: int, frames: int) -> list[int]:
    """Numbers of `count` frames around `frame`, `stride` apart, clamped to 1 ... `frames`."""
    numbers = []
    for i in range(count):
        number = frame + (i - center_index(count)) * stride
        numbers.append(min(max(number, 1), frames))
    return numbers
