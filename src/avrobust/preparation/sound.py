"""Reads the sound of one raw video file (PyAV) as a mono waveform at 11,025 Hz (librosa), in step with its picture."""

import math
from pathlib import Path
from typing import Any, NamedTuple, final

import librosa
import numpy as np
from numpy.typing import NDArray

from avrobust.data.layout import FRAME_RATE, SAMPLE_RATE
from avrobust.preparation.media import Timeline, UnusableClip, decoded, open_media

RESYNC = (
    0.1  # seconds by which stamps may wander from the count of samples before they are believed
)
NOTEWORTHY = 0.25  # seconds of silence put in that are worth a note


class Sound(NamedTuple):
    """The waveform of a clip."""

    waveform: NDArray[
        np.float32
    ]  # (timeline.samples,) mono at SAMPLE_RATE; beyond [-1, 1] only if the file is
    notes: tuple[str, ...]  # what a user should know about it


def read_audio(path: Path, timeline: Timeline) -> Sound:
    """Decodes the sound that goes with the frames: sample t and frame t are of the same moment.

    Channels are averaged. Where the file has no sound, before its track starts or after it ends,
    there is silence; sound from before the first or after the last frame is cut. Memory: four bytes
    a sample at the file's own rate.

    Raises:
        UnusableClip: nothing of it can be decoded, samples are NaN or infinite, or more than half
            of it is damaged.
    """
    track = _Track(timeline.start, timeline.frames / FRAME_RATE)
    with open_media(path) as container:
        stream = container.streams.best("audio")
        if stream is None or stream.codec_context is None:
            raise UnusableClip("no audio track" if stream is None else "unknown audio codec")
        stream.codec_context.thread_count = 1
        for frame in decoded(container, stream):
            track.add(frame)
            if track.full:
                break
    waveform = librosa.resample(
        track.finish(), orig_sr=track.rate, target_sr=SAMPLE_RATE, res_type="soxr_hq"
    )
    return Sound(librosa.util.fix_length(waveform, size=timeline.samples), track.notes())


@final
class _Track:
    """The sound from `start` on the container's clock for `seconds`; what is never added stays silent."""

    def __init__(self, start: float, seconds: float) -> None:
        self.start = start
        self.seconds = seconds
        self.rate = 0
        self.samples = np.zeros(0, np.float32)
        self.full = False
        self._next = 0  # where the next frame follows on
        self._first: int | None = None  # the first sample that was heard
        self._last = 0  # one past the last
        self._heard = 0
        self._broken = 0
        self._frames = 0

    def add(self, frame: Any | None) -> None:
        """Puts one decoded frame in its place; None stands for a packet that would not decode."""
        if frame is None:
            self._broken += 1
            return
        if not self.rate:
            self.rate = frame.sample_rate
            self.samples = np.zeros(math.ceil(self.seconds * self.rate), np.float32)
        if frame.sample_rate != self.rate:
            raise UnusableClip(
                f"the sound changes its rate: from {self.rate} to {frame.sample_rate} Hz"
            )
        self._put(_mono(frame), self._place(frame))

    def _place(self, frame: Any) -> int:
        if frame.time is None:
            return self._next
        stamp = round((frame.time - self.start) * self.rate)
        # Stamps are rounded (to 1 ms in WebM), so frames that follow each other are joined by
        # counting samples.
        trusted = self._frames > 0 and abs(stamp - self._next) <= RESYNC * self.rate
        return self._next if trusted else stamp

    def _put(self, piece: NDArray[np.float32], at: int) -> None:
        self._frames += 1
        self._next = at + len(piece)
        low, high = max(at, 0), min(self._next, len(self.samples))
        if low < high:
            self.samples[low:high] = piece[low - at : high - at]
            self._first = low if self._first is None else self._first
            self._last = max(self._last, high)
            self._heard += high - low
        self.full = at >= len(self.samples)

    def finish(self) -> NDArray[np.float32]:
        """The samples at the file's own rate, checked."""
        if not self._frames:
            raise UnusableClip("no sound can be decoded")
        if self._first is None:
            raise UnusableClip("no sound while the picture is on show")
        if self._broken > self._frames:
            raise UnusableClip(
                f"damaged: {self._broken} of {self._broken + self._frames} sound packets"
            )
        if not np.isfinite(self.samples).all():
            raise UnusableClip("the sound has NaN or infinite samples")
        return self.samples

    def notes(self) -> tuple[str, ...]:
        """What is odd about the sound."""
        first = self._first or 0
        late, early = first / self.rate, (len(self.samples) - self._last) / self.rate
        hole = (self._last - first - self._heard) / self.rate
        facts = {
            f"the sound starts late: {late:.2f} s": late > NOTEWORTHY,
            f"the sound ends early: {early:.2f} s": early > NOTEWORTHY,
            f"the sound has holes: {hole:.2f} s": hole > NOTEWORTHY,
            f"damaged sound packets: {self._broken}": self._broken > 0,
            "the sound is digital silence": not self.samples.any(),
        }
        return tuple(text for text, true in facts.items() if true)


def _mono(frame: Any) -> NDArray[np.float32]:
    """The mean of the channels, (samples,), integers scaled to [-1, 1]."""
    values = frame.to_ndarray()  # (channels, samples) if planar, else (1, samples x channels)
    channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    mean = values.mean(axis=0, dtype=np.float64)
    if values.dtype == np.uint8:
        mean = (mean - 128) / 128
    elif np.issubdtype(values.dtype, np.integer):
        mean /= -float(np.iinfo(values.dtype).min)
    return np.asarray(mean, np.float32)
