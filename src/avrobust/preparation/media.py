"""Opens raw video files (PyAV), refuses what is no clip, and finds out which frame is on show when.

Every frame is decoded twice: here, to learn its true time and whether it is intact, and in `frames`
for its pixels. decord, which is used there, tells neither, and fills what it cannot decode with
gray or with copies.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from avrobust.data.layout import FRAME_RATE, SAMPLE_RATE

MIN_REST = 1.0  # seconds that a damaged or cut-off file must still hold to be kept
SLACK = 0.5  # seconds by which a sound file's header may be wrong about the length
MAX_HOLD = 600.0  # seconds for which one picture may stand; a longer gap is a broken clock
LONG_HOLD = 2.0  # seconds of one picture, in a film that otherwise moves, worth a note
REORDER = 16  # H.264 and HEVC show a frame up to so many frames after decoding it: how far back damage reaches
STILLS = frozenset(
    {"bmp", "gif", "jpeg2000", "mjpeg", "png", "tiff", "webp"}
)  # codecs of photos and cover art


class UnusableClip(Exception):
    """A file that gives no clip. The text is one line, what it is first, then ":" and numbers if there are any."""


class Timeline(NamedTuple):
    """When the frames of one video are on show; the clip's clock starts with its first intact frame."""

    start: float  # what the container's clock shows when the clip starts, in seconds
    times: NDArray[
        np.float64
    ]  # (N,) seconds from the start at which each intact frame appears, never falling
    skip: int  # frames the decoder gives before the first of these
    frames: int  # frames of the clip, FRAME_RATE a second
    whole: bool  # whether all the frames that the file has are intact
    notes: tuple[str, ...]  # what a user should know about the file

    @property
    def samples(self) -> int:
        """How many audio samples are as long as the frames."""
        return round(self.frames * SAMPLE_RATE / FRAME_RATE)

    def picks(self) -> NDArray[np.intp]:
        """Which of `times` is on show in the middle of each frame's eighth of a second, (frames,)."""
        middles = (np.arange(self.frames) + 0.5) / FRAME_RATE
        return np.maximum(np.searchsorted(self.times, middles, side="right") - 1, 0)


class _Shot(NamedTuple):
    """One decoded frame without its pixels, or what stands for packets that would not decode."""

    time: float  # seconds on the container's clock; NaN if the file does not say
    seconds: float  # how long it is on show; 0 if the file does not say
    key: bool
    intact: bool
    decoded: bool = True


_BROKEN = _Shot(math.nan, 0.0, key=False, intact=False, decoded=False)


def open_media(path: Path) -> Any:
    """Opens a container for reading, whatever the file's ending says; use it in a `with`.

    Raises:
        UnusableClip: the file is missing, empty, unreadable or no media file.
    """
    if not path.is_file():
        raise UnusableClip("no such file")
    if path.stat().st_size == 0:
        raise UnusableClip("empty file")
    try:
        # Playlists may name other places: nothing but files is ever opened.
        return av.open(str(path), metadata_errors="replace", options={"protocol_whitelist": "file"})
    except av.FFmpegError as error:
        raise UnusableClip(f"not a readable media file: {error.strerror}") from error


def scan(path: Path) -> Timeline:
    """Decodes the whole picture once, without keeping it, to learn which frame is on show when.

    Raises:
        UnusableClip: there is no picture or no sound track, or less than a second of a damaged file
            is left.
    """
    with open_media(path) as container:
        stream = open_picture(container)
        shots = [_BROKEN if frame is None else _shot(frame) for frame in decoded(container, stream)]
        promised = _promised_end(container, stream)
        gap = float(1 / (stream.guessed_rate or stream.average_rate or 25))
        still = stream.codec_context.name in STILLS
    run, skip, whole = _intact(shots)
    if len(run) == 1 and still:
        raise UnusableClip("no video track: only a still picture")
    times, steady = _clock(run, gap)
    end = _end(times, run[len(times) - 1].seconds or gap, gap, promised)
    if len(shots) == 1:
        end = max(end, _sound_end(path))  # a picture that stands still while the sound goes on
    return _timeline(times, skip, end, promised, damaged=not (whole and steady))


def open_picture(container: Any) -> Any:
    """The container's video stream.

    Raises:
        UnusableClip: it has none, or no sound goes with it.
    """
    stream = container.streams.best("video")
    if container.format.name.endswith("_pipe") or container.format.name == "image2":
        raise UnusableClip("a photo, not a video")
    if stream is None or stream.disposition & stream.disposition.attached_pic:
        raise UnusableClip("no video track")
    if not container.streams.audio:
        raise UnusableClip("no audio track")
    if stream.codec_context is None:
        raise UnusableClip("unknown video codec")
    stream.thread_type, stream.codec_context.thread_count = "NONE", 1
    return stream


def decoded(container: Any, stream: Any) -> Iterator[Any | None]:
    """The frames of a stream in order of their times; None for each packet that would not decode."""
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.FFmpegError:
                yield None
    except av.FFmpegError:
        yield None


def _shot(frame: Any) -> _Shot:
    time = math.nan if frame.time is None else frame.time
    return _Shot(
        time,
        float((frame.duration or 0) * frame.time_base),
        bool(frame.key_frame),
        not frame.is_corrupt,
    )


def _promised_end(container: Any, stream: Any) -> float | None:
    """When a stream ends according to the headers, in seconds on the container's clock; None if they do not say."""
    if stream.duration:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if tag := stream.metadata.get("DURATION"):  # Matroska and WebM
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration:
        return float((container.start_time or 0) + container.duration) / float(av.time_base)
    return None


def _intact(shots: list[_Shot]) -> tuple[list[_Shot], int, bool]:
    """The first run of intact frames, how many decoded frames come before it, and whether that is all there is."""
    good = [i for i, shot in enumerate(shots) if shot.intact]
    if not good:
        raise UnusableClip("no frame can be decoded")
    # After damage frames look intact but are not, until the next key frame.
    first = good[0] and next(
        (i for i in good if shots[i].key and i > good[0] + REORDER), len(shots)
    )
    last = next((i for i in range(first, len(shots)) if not shots[i].intact), len(shots))
    run = shots[first : last if last == len(shots) else max(first, last - REORDER)]
    if not run:
        raise UnusableClip("damaged: the picture breaks at its start")
    return run, sum(shot.decoded for shot in shots[:first]), len(run) == len(shots)


def _clock(run: list[_Shot], gap: float) -> tuple[NDArray[np.float64], bool]:
    """The frames' times up to the first senseless gap, and whether there was none. Unknown times follow on."""
    times = np.array([shot.time for shot in run])
    for i in np.flatnonzero(np.isnan(times)):
        times[i] = times[i - 1] + gap if i else 0.0
    times = np.maximum.accumulate(times)
    jumps = np.flatnonzero(np.diff(times) > MAX_HOLD)
    return (times[: jumps[0] + 1], False) if jumps.size else (times, True)


def _end(times: NDArray[np.float64], seconds: float, gap: float, promised: float | None) -> float:
    """When the last frame goes: as the headers say, if that is believable; its own length can be a neighbor's."""
    last = float(times[-1])
    longest = max(gap, float(np.diff(times).max(initial=0.0)))
    return (
        promised
        if promised is not None and last < promised <= last + 1.01 * longest
        else last + seconds
    )


def _sound_end(path: Path) -> float:
    with open_media(path) as container:
        ends = [
            float((packet.pts + (packet.duration or 0)) * packet.time_base)
            for packet in container.demux(container.streams.best("audio"))
            if packet.pts is not None
        ]
    return max(ends, default=0.0)


def _timeline(
    times: NDArray[np.float64], skip: int, end: float, promised: float | None, damaged: bool
) -> Timeline:
    start = float(times[0])
    seconds, hoped = end - start, (promised if promised is not None else end) - start
    extent = f"{seconds:.1f} s of {hoped:.1f} s"
    short = damaged or hoped - seconds > SLACK
    if short and seconds < MIN_REST:
        raise UnusableClip(f"damaged: only {extent} can be read")
    holds = np.diff(times)
    notes = (
        [f"the picture {'is damaged' if damaged else 'ends early'}: {extent} are left"]
        if short
        else []
    )
    if holds.size and holds.max() > max(LONG_HOLD, 10 * float(np.median(holds))):
        notes.append(f"the picture stands still: {holds.max():.1f} s")
    frames = max(1, math.floor(seconds * FRAME_RATE + 0.5))
    return Timeline(start, times - start, skip, frames, not damaged, tuple(notes))
