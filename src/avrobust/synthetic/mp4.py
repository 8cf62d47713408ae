"""Writes and reads the films: H.264 and AAC in an mp4 that carries its own description."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avrobust.synthetic.tones import RATE

# One thread: the same film on every machine, and the processes fill the cores.
_H264 = {"preset": "superfast", "crf": "23", "threads": "1"}


def write_film(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    sound: NDArray[np.float64],
    fps: int,
    about: dict[str, Any],
) -> None:
    """Writes one film; it is there whole or not at all.

    Args:
        path: the file.
        frames: (H, W, 3) RGB, `fps` a second, H and W even and alike.
        sound: (S,) at RATE, within [-1, 1].
        fps: frames a second.
        about: the description to store in the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.part")
    with av.open(str(aside), "w", format="mp4") as container:
        container.metadata["comment"] = json.dumps(about, separators=(",", ":"))
        video = container.add_stream("libx264", rate=fps, options=_H264)
        audio = container.add_stream(
            "aac", rate=RATE, layout="mono", options={"b": "96k", "aac_coder": "fast"}
        )
        video.height, video.width, _ = frames[0].shape
        video.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        block = av.AudioFrame.from_ndarray(
            sound[None].astype(np.float32), format="fltp", layout="mono"
        )
        block.sample_rate, block.pts = (
            RATE,
            0,
        )  # with a time, the encoder's delay is written down and taken off again
        for packets in (video.encode(None), audio.encode(block), audio.encode(None)):
            container.mux(packets)
    aside.replace(path)


def read_description(path: Path) -> dict[str, Any]:
    """The description stored in a film; empty where there is no film, or none of ours."""
    try:
        with av.open(str(path)) as container:
            about = json.loads(container.metadata.get("comment", "{}"))
    except (
        av.FFmpegError,
        json.JSONDecodeError,
    ):  # missing, damaged or somebody else's: to be made anew
        return {}
    return about if isinstance(about, dict) else {}
