"""Reads the sound of one raw video as a mono waveform at 11,025 Hz, in time with its frames.

PyAV decodes, librosa resamples.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple, final

import librosa
import numpy as np
from numpy.typing import NDArray

from avrobust.data.layout import FRAME_RATE, SAMPLE_RATE
from avrobust.preparation.media import (
    CLOCK_SLACK,
    UnusableClip,
    decode_stream,
    open_audio_stream,
    open_media,
    restarting_clock,
)
from avrobust.preparation.timeline import Timeline

# Seconds by which a time stamp may differ from the count of samples. If it differs more, the time
# stamp is used.
RESYNC = 0.1

NOTEWORTHY = 0.25  # seconds of inserted silence that are worth a note


class ClipAudio(NamedTuple):
    """The sound of one clip."""

    # (timeline.samples,) mono at SAMPLE_RATE. Beyond [-1, 1] only if the file is.
    waveform: NDArray[np.float32]
    notes: tuple[str, ...]  # what a user should know about the sound


def read_audio(path: Path, timeline: Timeline) -> ClipAudio:
    """Decodes the sound that belongs to the frames of a clip.

    Channels are averaged. The clip is silent where the file has no sound, for example before the
    audio stream starts or after it ends. Sound before the first frame or after the last frame is
    cut. Needs four bytes of memory for each sample at the rate of the file.

    Args:
        path: The video.
        timeline: The result of `scan` for the video.

    Raises:
        UnusableClip: No sound can be decoded, samples are NaN or infinite, or more than half of
            the packets are damaged.
    """
    track = _AudioTrack(timeline.start, timeline.frames / FRAME_RATE)
    with open_media(path) as container:
        stream = open_audio_stream(container)
        for frame in decode_stream(container, stream):
            track.add(frame)
            if track.full:
                break
    waveform = librosa.resample(
        track.checked_samples(), orig_sr=track.rate, target_sr=SAMPLE_RATE, res_type="soxr_hq"
    )
    waveform = librosa.util.fix_length(waveform, size=timeline.samples)
    return ClipAudio(waveform, track.notes())


@final
class _AudioTrack:
    """Collects decoded audio frames, silent where no frame was added.

    Args:
        start: Start of the clip on the clock of the container, in seconds.
        seconds: Length of the clip.
    """

    def __init__(self, start: float, seconds: float) -> None:
        self.start = start
        self.seconds = seconds
        self.rate = 0  # samples a second; 0 until the first frame
        self.samples = np.zeros(0, np.float32)
        self.full = False
        self._next = 0  # index of the sample that follows the last frame
        self._first: int | None = None  # index of the first sample with sound
        self._end = 0  # index after the last sample with sound
        self._filled = 0  # number of samples with sound
        self._frames = 0  # number of decoded frames
        self._damaged = 0  # number of packets that could not be decoded

    def add(self, frame: Any | None) -> None:
        """Adds a decoded frame at its time; None stands for a packet that cannot be decoded."""
        if frame is None:
            self._damaged += 1
            return
        if not self.rate:
            self.rate = frame.sample_rate
            self.samples = np.zeros(math.ceil(self.seconds * self.rate), np.float32)
        if frame.sample_rate != self.rate:
            raise UnusableClip(
                f"the sound changes its rate: from {self.rate} to {frame.sample_rate} Hz"
            )
        self._put(_to_mono(frame), self._position(frame))

    def _position(self, frame: Any) -> int:
        """Index of the first sample of a frame.

        Raises:
            UnusableClip: The clock jumps back.
        """
        if frame.time is None:
            return self._next
        by_time_stamp = round((frame.time - self.start) * self.rate)
        # Time stamps are rounded (to 1 ms in WebM), so consecutive frames are placed by counting
        # samples.
        if self._frames > 0 and by_time_stamp < self._next - CLOCK_SLACK * self.rate:
            raise restarting_clock("sound", self._next / self.rate)
        consecutive = abs(by_time_stamp - self._next) <= RESYNC * self.rate
        return self._next if self._frames > 0 and consecutive else by_time_stamp

    def _put(self, waveform: NDArray[np.float32], position: int) -> None:
        self._frames += 1
        self._next = position + len(waveform)
        start, end = max(position, 0), min(self._next, len(self.samples))
        if start < end:
            self.samples[start:end] = waveform[start - position : end - position]
            self._first = start if self._first is None else self._first
            self._end = max(self._end, end)
            self._filled += end - start
        self.full = position >= len(self.samples)

    def checked_samples(self) -> NDArray[np.float32]:
        """The samples at the rate of the file.

        Raises:
            UnusableClip: There is no sound, or too much of it is damaged.
        """
        if not self._frames:
            raise UnusableClip("no sound can be decoded")
        if self._first is None:
            raise UnusableClip("no sound while the picture is on show")
        if self._damaged > self._frames:
            packets = self._damaged + self._frames
            raise UnusableClip(f"damaged: {self._damaged} of {packets} sound packets")
        if not np.isfinite(self.samples).all():
            raise UnusableClip("the sound has NaN or infinite samples")
        return self.samples

    def notes(self) -> tuple[str, ...]:
        """What a user should know about the sound."""
        first = self._first or 0
        late = first / self.rate
        early = (len(self.samples) - self._end) / self.rate
        holes = (self._end - first - self._filled) / self.rate
        notes = []
        if late > NOTEWORTHY:
            notes.append(f"the sound starts late: {late:.2f} s")
        if early > NOTEWORTHY:
            notes.append(f"the sound ends early: {early:.2f} s")
        if holes > NOTEWORTHY:
            notes.append(f"the sound has holes: {holes:.2f} s")
        if self._damaged:
            notes.append(f"damaged sound packets: {self._damaged}")
        if not self.samples.any():
            notes.append("the sound is digital silence")
        return tuple(notes)


def _to_mono(frame: Any) -> NDArray[np.float32]:
    """The mean of the channels (samples,), with integers scaled to [-1, 1]."""
    values = frame.to_ndarray()  # (channels, samples) if planar, else (1, samples x channels)
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    mean = values.mean(axis=0, dtype=np.float64)
    if values.dtype == np.uint8:
        mean = (mean - 128) / 128
    elif np.issubdtype(values.dtype, np.integer):
        mean /= -float(np.iinfo(values.dtype).min)
    return np.asarray(mean, np.float32)
