"""Reads the pixels of one raw video, eight frames a second by the clock that `media.scan` has read."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal

import decord
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avrobust.preparation.media import Timeline, UnusableClip, decoded, open_media, open_picture

Pixels = NDArray[np.uint8]  # (H, W, 3) RGB
Fetch = Callable[[], Pixels]  # a decoded frame, not yet turned into pixels
Decoder = Literal["decord", "av"]


def read_frames(
    path: Path, timeline: Timeline, short_side: int = 256, decoder: Decoder = "decord"
) -> Iterator[Pixels]:
    """Yields the clip's frames in order, one at a time: (H, W, 3) RGB, upright, `timeline.frames` of them.

    Pixels are taken as stored; those that are not square are not stretched.

    Args:
        path: The video.
        timeline: What `scan` said about it.
        short_side: Frames whose shorter side is longer, in pixels, are made smaller; none is
            enlarged.
        decoder: decord; or PyAV, which can also read damaged files and containers that decord seeks
            badly in.

    Raises:
        UnusableClip: the decoder does not give the frames that the scan has seen. Those yielded
            before may be wrong.
    """
    frames = (_decord if decoder == "decord" else _pyav)(path)
    taken, last = 0, timeline.skip + len(timeline.times)
    for pick, repeats in groupby(timeline.picks() + timeline.skip):
        small = _shrink(_ahead(frames, int(pick) + 1 - taken)(), short_side)
        taken = int(pick) + 1
        yield from (small for _ in repeats)
    if timeline.whole and taken < last:
        _ahead(frames, last - taken)  # a frame missing anywhere shows at the end


def _ahead(frames: Iterator[Fetch], steps: int) -> Fetch:
    """The frame so many steps ahead."""
    found = next(islice(frames, steps - 1, None), None)
    if found is None:
        raise UnusableClip("damaged: the decoder gives fewer frames than there are")
    return found


def _decord(path: Path) -> Iterator[Fetch]:
    # Frame after frame, without seeking: decord's seeks lose frames of open groups of pictures.
    decord.logging.set_level(decord.logging.QUIET)
    try:
        # fault_tol: raise when even one frame would be replaced by a copy of another.
        reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1, fault_tol=1e-6)
        while True:
            yield partial(_from_decord, reader.next())
    except StopIteration:
        return
    except (RuntimeError, decord.DECORDError, decord.DECORDLimitReachedError) as error:
        raise UnusableClip("damaged: decord cannot decode it") from error


def _pyav(path: Path) -> Iterator[Fetch]:
    with open_media(path) as container:
        for frame in decoded(container, open_picture(container)):
            if frame is not None:
                yield partial(_from_pyav, frame)


def _from_decord(frame: Any) -> Pixels:
    pixels = np.asarray(frame.asnumpy())
    height, width = pixels.shape[:2]
    # Under 64 pixels wide, decord takes the padding of the rows for more channels.
    return pixels.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)


def _from_pyav(frame: Any) -> Pixels:
    return np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))


def _shrink(frame: Pixels, short_side: int) -> Pixels:
    height, width = frame.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return np.ascontiguousarray(frame)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))
