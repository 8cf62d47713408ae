"""Finds out when each frame of a raw video is shown, and which frames are intact.

Every frame is decoded twice: here with PyAV for its time and intactness, and in `frames` with
decord for its pixels. decord reports no damage that FFmpeg conceals: of 16 damaged files that PyAV
recognized it read 12 without an error.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avrobust.data.layout import FRAME_RATE, SAMPLE_RATE
from avrobust.preparation.limits import Limits
from avrobust.preparation.media import (
    CLOCK_SLACK,
    UnusableClip,
    decode_stream,
    open_media,
    open_video_stream,
    promised_end,
    restarting_clock,
)

MIN_REST = 1.0  # seconds that must be left of a damaged or cut-off file
SLACK = 0.5  # seconds by which the header of an intact file may overstate its length
MAX_HOLD = 600.0  # seconds between two frames; a longer gap is an error in the time stamps
LONG_HOLD = 2.0  # seconds between two frames that are worth a note

# H.264 and HEVC may show a frame up to 16 frames after they decode it, so damage may affect as many
# frames before the one where it is detected.
REORDER = 16

# Codecs of photos and cover art.
STILLS = frozenset({"bmp", "gif", "jpeg2000", "mjpeg", "png", "tiff", "webp"})


class Timeline(NamedTuple):
    """When the frames of one video are shown. Time 0 is the first intact frame."""

    start: float  # time of the first intact frame on the clock of the container, in seconds
    times: NDArray[np.float64]  # (N,) time of each intact frame in seconds, never falling
    skip: int  # number of decoded frames before the first intact one
    frames: int  # number of frames of the clip, FRAME_RATE a second
    whole: bool  # whether all frames of the file are intact
    notes: tuple[str, ...]  # what a user should know about the file

    @property
    def samples(self) -> int:
        """Number of audio samples of the clip."""
        return round(self.frames * SAMPLE_RATE / FRAME_RATE)

    def frame_indices(self) -> NDArray[np.intp]:
        """Index (frames,) of the decoded frame that is shown at the center of each clip frame."""
        centers = (np.arange(self.frames) + 0.5) / FRAME_RATE
        indices = np.searchsorted(self.times, centers, side="right") - 1
        return np.maximum(indices, 0) + self.skip


class _FrameInfo(NamedTuple):
    """A decoded frame without its pixels."""

    time: float  # seconds on the clock of the container; NaN if unknown
    seconds: float  # how long the frame is shown; 0 if unknown
    key: bool
    intact: bool
    decoded: bool = True  # False stands for a packet that could not be decoded


_UNDECODABLE = _FrameInfo(math.nan, 0.0, key=False, intact=False, decoded=False)


class _IntactRun(NamedTuple):
    """A run of intact frames."""

    frames: list[_FrameInfo]
    skip: int  # number of decoded frames before the run
    whole: bool  # whether these are all frames of the file


def scan(path: Path, limits: Limits | None = None) -> Timeline:
    """Decodes all frames of a video once to learn when each one is shown. Keeps no pixels.

    Args:
        path: The video.
        limits: The largest video to be decoded; None for the defaults.

    Raises:
        UnusableClip: There is no video or no audio stream, less than a second of a damaged file is
            left, or the video exceeds the limits, whatever its headers say.
    """
    limits = limits or Limits()
    infos: list[_FrameInfo] = []
    with open_media(path) as container:
        stream = open_video_stream(container)
        for frame in decode_stream(container, stream):
            infos.append(_frame_info(frame))
            limits.check_frames(len(infos))
            if frame is not None:
                limits.check_size(frame.width, frame.height)
        header_end = promised_end(container, stream)
        gap = float(1 / (stream.guessed_rate or stream.average_rate or 25))
        stream_start = float((stream.start_time or 0) * stream.time_base)
        is_still = stream.codec_context.name in STILLS
    _check_clock(infos)
    run = _first_intact_run(infos)
    if len(run.frames) == 1 and is_still:
        raise UnusableClip("no video track: only a still picture")
    times, plausible = _plausible_times(run.frames, gap, stream_start)
    last_seconds = run.frames[len(times) - 1].seconds or gap
    end = _end(times, last_seconds, gap, header_end)
    if len(infos) == 1:
        # A single frame is shown while the sound lasts.
        end = max(end, _sound_end(path))
    limits.check_length(end - times[0])
    damaged = not (run.whole and plausible)
    return _make_timeline(times, run.skip, end, header_end, damaged=damaged)


def _frame_info(frame: Any | None) -> _FrameInfo:
    if frame is None:
        return _UNDECODABLE
    time = math.nan if frame.time is None else frame.time
    seconds = float((frame.duration or 0) * frame.time_base)
    return _FrameInfo(time, seconds, bool(frame.key_frame), not frame.is_corrupt)


def _check_clock(infos: list[_FrameInfo]) -> None:
    """Refuses files of several recordings.

    The same time then stands for several moments, and nothing tells which sound belongs to which.

    Raises:
        UnusableClip: The clock of the picture jumps back.
    """
    last = -math.inf
    for info in infos:
        if info.time < last - CLOCK_SLACK:
            raise restarting_clock("picture", last - infos[0].time)
        if not math.isnan(info.time):
            last = max(last, info.time)


def _first_intact_run(infos: list[_FrameInfo]) -> _IntactRun:
    intact = [i for i, info in enumerate(infos) if info.intact]
    if not intact:
        raise UnusableClip("no frame can be decoded")
    first = intact[0]
    if first > 0:
        # Until the next key frame, frames after damage look intact and are not.
        keys = (i for i in intact if infos[i].key and i > intact[0] + REORDER)
        first = next(keys, len(infos))
    end = first
    while end < len(infos) and infos[end].intact:
        end += 1
    if end < len(infos):
        end = max(first, end - REORDER)
    if first == end:
        raise UnusableClip("damaged: the picture breaks at its start")
    skip = sum(info.decoded for info in infos[:first])
    return _IntactRun(infos[first:end], skip, whole=end - first == len(infos))


def _plausible_times(
    frames: list[_FrameInfo], gap: float, start: float
) -> tuple[NDArray[np.float64], bool]:
    """The times up to the first implausible gap, and whether there is no such gap.

    A frame of unknown time follows the one before by `gap` seconds. The first one is as long before
    the first known time, or at `start` if no time is known.
    """
    times = np.array([frame.time for frame in frames])
    known = np.flatnonzero(~np.isnan(times))
    if known.size:
        start = times[known[0]] - gap * known[0]
    for i in np.flatnonzero(np.isnan(times)):
        times[i] = times[i - 1] + gap if i else start
    times = np.maximum.accumulate(times)
    jumps = np.flatnonzero(np.diff(times) > MAX_HOLD)
    if jumps.size:
        return times[: jumps[0] + 1], False
    return times, True


def _end(
    times: NDArray[np.float64], last_seconds: float, gap: float, header_end: float | None
) -> float:
    """Time at which the last frame ends.

    The headers are used if they are plausible. The duration of the last frame is less reliable: it
    can be that of another frame.
    """
    last = float(times[-1])
    longest_gap = max(gap, float(np.diff(times).max(initial=0.0)))
    if header_end is not None and last < header_end <= last + 1.01 * longest_gap:
        return header_end
    return last + last_seconds


def _sound_end(path: Path) -> float:
    """Time at which the last audio packet ends, in seconds on the clock of the container."""
    end: float | None = None
    with open_media(path) as container:
        for packet in container.demux(container.streams.best("audio")):
            if packet.pts is not None:
                packet_end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                end = packet_end if end is None else max(end, packet_end)
    return 0.0 if end is None else end


def _make_timeline(
    times: NDArray[np.float64],
    skip: int,
    end: float,
    header_end: float | None,
    *,
    damaged: bool,
) -> Timeline:
    start = float(times[0])
    seconds = end - start
    promised_seconds = (end if header_end is None else header_end) - start
    extent = f"{seconds:.1f} s of {promised_seconds:.1f} s"
    notes = []
    if damaged or promised_seconds - seconds > SLACK:
        if seconds < MIN_REST:
            raise UnusableClip(f"damaged: only {extent} can be read")
        what = "is damaged" if damaged else "ends early"
        notes.append(f"the picture {what}: {extent} are left")
    holds = np.diff(times)
    if holds.size and holds.max() > max(LONG_HOLD, 10 * float(np.median(holds))):
        notes.append(f"the picture stands still: {holds.max():.1f} s")
    frames = max(1, math.floor(seconds * FRAME_RATE + 0.5))
    return Timeline(start, times - start, skip, frames, not damaged, tuple(notes))
