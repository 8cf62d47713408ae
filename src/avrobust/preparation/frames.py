"""Reads the frames of one raw video, eight a second, at the times that `timeline.scan` has read."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avrobust.preparation.decord_on_cpu import decord
from avrobust.preparation.media import (
    UnusableClip,
    decode_stream,
    open_media,
    open_video_stream,
)
from avrobust.preparation.timeline import Timeline

Pixels = NDArray[np.uint8]  # (H, W, 3) RGB
GetPixels = Callable[[], Pixels]  # converts a decoded frame; most frames are never converted
Decoder = Literal["decord", "av"]


def read_frames(
    path: Path, timeline: Timeline, short_side: int = 256, decoder: Decoder = "decord"
) -> Iterator[Pixels]:
    """Yields the frames of a clip in order, as many as `timeline.frames`.

    Each frame is upright RGB (H, W, 3). Pixels are used as stored: non-square pixels are not
    stretched.

    Args:
        path: The video.
        timeline: The result of `scan` for the video.
        short_side: Frames are made smaller if their shorter side is longer than this, in pixels. No
            frame is enlarged.
        decoder: decord, or PyAV ("av"), which also reads damaged files and containers in which
            decord loses frames.

    Raises:
        UnusableClip: The decoder gives fewer frames than the scan has seen. Frames that were
            yielded before may be wrong.
    """
    decoded = _decode_with_decord(path) if decoder == "decord" else _decode_with_pyav(path)
    position = 0  # frames taken from the decoder
    for index, repeats in groupby(timeline.frame_indices()):
        get_pixels = _advance(decoded, int(index) + 1 - position)
        position = int(index) + 1
        frame = _shrink(get_pixels(), short_side)
        for _ in repeats:
            yield frame
    # A frame that the decoder has lost anywhere is missing at the end.
    end = timeline.skip + len(timeline.times)
    if timeline.whole and position < end:
        _advance(decoded, end - position)


def _advance(decoded: Iterator[GetPixels], steps: int) -> GetPixels:
    """Takes `steps` frames and returns the last one."""
    get_pixels = next(islice(decoded, steps - 1, None), None)
    if get_pixels is None:
        raise UnusableClip("damaged: the decoder gives fewer frames than there are")
    return get_pixels


def _decode_with_decord(path: Path) -> Iterator[GetPixels]:
    # Reads frame after frame: when decord seeks, it loses frames of open groups of pictures.
    decord.logging.set_level(decord.logging.QUIET)
    try:
        # fault_tol: raise if even one frame would be replaced by a copy of another one.
        reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1, fault_tol=1e-6)
        while True:
            yield partial(_decord_pixels, reader.next())
    except StopIteration:
        return
    except (RuntimeError, decord.DECORDError, decord.DECORDLimitReachedError) as error:
        raise UnusableClip("damaged: decord cannot decode it") from error


def _decode_with_pyav(path: Path) -> Iterator[GetPixels]:
    with open_media(path) as container:
        for frame in decode_stream(container, open_video_stream(container)):
            if frame is not None:
                yield partial(_pyav_pixels, frame)


def _decord_pixels(frame: Any) -> Pixels:
    pixels = np.asarray(frame.asnumpy())
    height, width = pixels.shape[:2]
    # In frames less than 64 pixels wide, decord counts the padding of the rows as channels.
    return pixels.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)


def _pyav_pixels(frame: Any) -> Pixels:
    return np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))


def _shrink(frame: Pixels, short_side: int) -> Pixels:
    height, width = frame.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return np.ascontiguousarray(frame)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))
