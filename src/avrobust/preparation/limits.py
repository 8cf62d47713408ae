"""How much a single video may cost: small files can unfold to hours, gigapixels and terabytes."""

import multiprocessing
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import final

from avrobust.preparation.media import (
    UnusableClip,
    open_media,
    open_video_stream,
    promised_end,
)
from avrobust.ranges import PositiveInt
from avrobust.utils.arguments import checks_arguments

# Seconds that a video may take in any case, and per second of its length. Each frame is decoded
# twice; a busy core decodes a second of 4K in some ten seconds.
TIME_TO_START = 120
TIME_PER_SECOND = 20
JPEG_SIDE = 65_500  # pixels; Pillow writes no wider or higher JPEG file


@final
@checks_arguments
@dataclass(frozen=True)
class Limits:
    """The largest video that is prepared. Larger ones are skipped, with the reason.

    Raises:
        ValueError: a limit is out of range.
    """

    seconds: PositiveInt = 3600  # length of a clip
    frames: PositiveInt = 250_000  # pictures in a file; an hour at 60 a second has 216,000
    pixels: PositiveInt = 36_000_000  # of one picture; 8K has 35.4 million
    memory: PositiveInt = 2048  # MiB that a decoder process may take for a video
    minutes: PositiveInt = 60  # that the decoding of a video may take

    def check_length(self, seconds: float) -> None:
        """Refuses clips that are too long.

        Raises:
            UnusableClip: The clip is too long.
        """
        if not seconds <= self.seconds:
            raise UnusableClip(f"too long: {seconds:.0f} s; --max-seconds is {self.seconds}")

    def check_frames(self, frames: int) -> None:
        """Refuses files with too many pictures.

        Raises:
            UnusableClip: There are too many.
        """
        if frames > self.frames:
            raise UnusableClip(f"too many pictures: --max-frames is {self.frames}")

    def check_size(self, width: int, height: int) -> None:
        """Refuses pictures that are too large.

        Raises:
            UnusableClip: The picture is too large.
        """
        if width * height > self.pixels:
            raise UnusableClip(
                f"a picture is too large: {width} x {height} pixels; --max-pixels is {self.pixels}"
            )
        if max(width, height) > JPEG_SIDE:
            raise UnusableClip(
                f"a picture is too large: {width} x {height} pixels; a side has at most {JPEG_SIDE}"
            )

    def decoding_seconds(self, length: float | None) -> float:
        """Seconds that a video of some length, in seconds, may take; None is an unknown length."""
        if length is None:
            return 60 * self.minutes
        return min(TIME_TO_START + TIME_PER_SECOND * length, 60 * self.minutes)


def check_header(path: Path, limits: Limits) -> float | None:
    """Checks what the headers of a video promise. Little or nothing is decoded.

    Returns:
        The length in seconds, None if the headers do not tell.

    Raises:
        UnusableClip: The video exceeds the limits, or has no picture or no sound.
    """
    with open_media(path) as container:
        stream = open_video_stream(container)
        limits.check_size(stream.codec_context.width, stream.codec_context.height)
        end = promised_end(container, stream)
        start = float((stream.start_time or 0) * stream.time_base)
        limits.check_frames(stream.frames)
        if end is None or end <= start:
            return None
        limits.check_length(end - start)
    return end - start


def limit_time(seconds: float) -> None:
    """Ends this worker process by SIGALRM after so many seconds; 0 ends the limit.

    The system does it, so that it works whatever a decoder does. It does nothing in the main
    process, and on systems without such signals.
    """
    if multiprocessing.parent_process() is not None and hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def limit_memory(mebibytes: int) -> None:
    """Lets this process take so much memory on top of what it has now; on Linux only.

    Allocations beyond it fail. Files that are mapped to memory, such as libraries, do not count.
    """
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
        limit = pages * resource.getpagesize() + mebibytes * 2**20
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
