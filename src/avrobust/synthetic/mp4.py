"""Writes and reads the films: H.264 and AAC in an MP4 file that holds a description of itself."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avrobust.synthetic.tones import RATE
from avrobust.utils.files import atomic_write

# One thread: the film is then the same on every machine, and the cores are used by the processes.
_H264 = {"preset": "superfast", "crf": "23", "threads": "1"}


def write_film(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    sound: NDArray[np.float64],
    fps: int,
    description: dict[str, Any],
) -> None:
    """Writes one film, completely or not at all.

    Args:
        path: The file.
        frames: RGB frames (H, W, 3), all of one size, H and W even.
        sound: Waveform (S,) in [-1, 1] at RATE.
        fps: Frames a second.
        description: Stored in the file as JSON.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_write(path) as temporary,
        av.open(str(temporary), "w", format="mp4") as container,
    ):
        container.metadata["comment"] = json.dumps(description, separators=(",", ":"))
        video = container.add_stream("libx264", rate=fps, options=_H264)
        audio = container.add_stream(
            "aac", rate=RATE, layout="mono", options={"b": "96k", "aac_coder": "fast"}
        )
        video.height, video.width, _ = frames[0].shape
        video.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        audio_frame = av.AudioFrame.from_ndarray(
            sound[None].astype(np.float32), format="fltp", layout="mono"
        )
        audio_frame.sample_rate = RATE
        # With a time, the file states the encoder's delay, and decoders remove it.
        audio_frame.pts = 0
        for packets in (video.encode(None), audio.encode(audio_frame), audio.encode(None)):
            container.mux(packets)


def read_description(path: Path) -> dict[str, Any]:
    """Reads the description stored in a film.

    Returns:
        {} if the file is missing, damaged, or not written by `write_film`.
    """
    try:
        with av.open(str(path)) as container:
            description = json.loads(container.metadata.get("comment", "{}"))
    except (av.FFmpegError, json.JSONDecodeError):
        return {}
    return description if isinstance(description, dict) else {}
