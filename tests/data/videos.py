"""Writes video files for the tests. The color of a frame encodes its number."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

CLOCK = 12_000  # ticks a second of the video's time stamps
LEVELS = 6  # levels of each color channel, so 216 frame numbers


def color(number: int) -> tuple[int, int, int]:
    return tuple(51 * (number // LEVELS**power % LEVELS) for power in (2, 1, 0))


def number(pixels: np.ndarray) -> int:
    """Reads the number back from the middle of a frame."""
    height, width = pixels.shape[:2]
    middle = pixels[height // 3 : -height // 3, width // 3 : -width // 3].mean(axis=(0, 1))
    return int(
        sum(
            round(value / 51) * LEVELS**power
            for value, power in zip(middle, (2, 1, 0), strict=True)
        )
    )


def plain(size: tuple[int, int]) -> Callable[[int], np.ndarray]:
    """Paints the whole frame in its number's color; size is (width, height)."""
    return lambda i: np.full((size[1], size[0], 3), color(i), np.uint8)


def noisy(size: tuple[int, int]) -> Callable[[int], np.ndarray]:
    """As plain, with noise around the middle, so that every frame takes many bytes."""

    def paint(i: int) -> np.ndarray:
        pixels = np.random.default_rng(i).integers(0, 256, (size[1], size[0], 3), np.uint8)
        pixels[size[1] // 4 : -size[1] // 4, size[0] // 4 : -size[0] // 4] = color(i)
        return pixels

    return paint


def sine(seconds: float, rate: int = 16_000, hertz: float = 440.0) -> np.ndarray:
    """A tone, (1, samples)."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)[None]


def beep(at: float, seconds: float, rate: int) -> np.ndarray:
    """Silence but for a loud tone that sets in at a moment, (1, samples)."""
    tone = sine(seconds, rate, 1000.0)
    tone[:, : round(at * rate)] = 0
    return 1.6 * tone


def steady(seconds: float, fps: float) -> list[float]:
    return [i / fps for i in range(round(seconds * fps))]


SMALL = plain((64, 48))


def write_video(
    path: Path,
    *,
    times: Sequence[float] = (0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875),
    end: float | None = None,
    paint: Callable[[int], np.ndarray] = SMALL,
    codec: str = "libx264",
    group: int = 12,
    rotation: int = 0,
    sound: np.ndarray | None = None,
    rate: int = 16_000,
    sound_start: float = 0.0,
    sound_codec: str = "aac",
    options: dict[str, str] | None = None,
) -> Path:
    """Writes one file, in which frame i is shown from times[i].

    The file has no audio stream if `sound` is empty, and no video stream if `times` is empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    times = list(times)
    stop = (
        end
        if end is not None
        else (times[-1] + (times[-1] - times[-2] if len(times) > 1 else 0.125) if times else 0)
    )
    sound = sine(stop, rate) if sound is None else sound
    with av.open(str(path), "w", options=options or {}) as container:
        gap = (
            Fraction(times[1] - times[0]).limit_denominator(100)
            if len(times) > 1
            else Fraction(1, 25)
        )
        picture = _picture(container, codec, paint(0), 1 / gap, group, rotation) if times else None
        track = (
            container.add_stream(sound_codec, rate=rate, layout=_layout(sound))
            if sound.size
            else None
        )
        if picture is not None:
            _write_frames(container, picture, [*times, stop], paint)
        if track is not None:
            _write_sound(container, track, sound, rate, sound_start)
    return path


def _layout(sound: np.ndarray) -> str:
    return {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]


def _picture(container, codec, first, rate, group, rotation):
    stream = container.add_stream(codec, rate=rate)
    stream.height, stream.width = first.shape[:2]
    stream.pix_fmt = {"mjpeg": "yuvj420p", "png": "rgb24"}.get(codec, "yuv420p")
    stream.codec_context.gop_size = group
    stream.codec_context.thread_count = 1
    stream.codec_context.time_base = 1 / rate if codec == "mpeg4" else Fraction(1, CLOCK)
    stream.options = {"libx264": {"preset": "veryfast", "crf": "16"}}.get(
        codec, {"b": "2000000", "q:v": "2"}
    )
    if rotation:
        stream.set_display_rotation(rotation)
    return stream


def _write_frames(container, stream, times, paint):
    base = stream.codec_context.time_base
    lengths = {
        round(time / base): round((following - time) / base) for time, following in pairwise(times)
    }
    for i, time in enumerate(times[:-1]):
        frame = av.VideoFrame.from_ndarray(paint(i), format="rgb24")
        frame.pts, frame.time_base = round(time / base), base
        _mux(container, stream.encode(frame), lengths)
    _mux(container, stream.encode(), lengths)


def _mux(container, packets, lengths):
    for packet in packets:
        packet.duration = lengths[packet.pts]
        container.mux(packet)


def _write_sound(container, stream, sound, rate, start):
    values = _as_format(sound, stream.codec_context.format.name)
    for at in range(0, values.shape[1], 1024):
        piece = np.ascontiguousarray(values[:, at : at + 1024])
        packed = not stream.codec_context.format.is_planar
        piece = piece.T.reshape(1, -1) if packed else piece
        frame = av.AudioFrame.from_ndarray(
            piece, format=stream.codec_context.format.name, layout=_layout(sound)
        )
        frame.sample_rate, frame.pts, frame.time_base = (
            rate,
            round(start * rate) + at,
            Fraction(1, rate),
        )
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def _as_format(sound, name):
    scale, shift, kind = {
        "u8": (127, 128, np.uint8),
        "s16": (2**15 - 1, 0, np.int16),
        "s32": (2**31 - 1, 0, np.int32),
    }.get(name.removesuffix("p"), (1, 0, np.float32))
    return (sound * scale + shift).astype(kind)
