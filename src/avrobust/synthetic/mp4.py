"""Writes and reads the films: H.264 and FLAC in an MP4 file that holds a description of itself."""

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avrobust.synthetic.tones import RATE
from avrobust.utils.files import atomic_write, write_file

# The bytes of a film are the same on every machine. x264 otherwise chooses its search by the
# processor and by the number of threads; a constant quantizer needs no rate control in floating
# point.
_H264 = {
    "preset": "superfast",
    "qp": "21",
    "threads": "1",
    "x264-params": "cpu-independent=1",
}
# Lossless: AAC is encoded and decoded in floating point, with a last bit that depends on the
# processor. A fixed predictor is computed with integers alone.
_FLAC = {"lpc_type": "fixed"}


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
    content = BytesIO()
    with av.open(
        content, "w", format="mp4", container_options={"fflags": "+bitexact"}
    ) as container:
        container.metadata["comment"] = json.dumps(description, separators=(",", ":"))
        video = container.add_stream("libx264", rate=fps, options=_H264)
        audio = container.add_stream("flac", rate=RATE, layout="mono", options=_FLAC)
        video.height, video.width, _ = frames[0].shape
        video.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(
                video.encode(av.VideoFrame.from_ndarray(_to_yuv(pixels), format="yuv420p"))
            )
        audio_frame = av.AudioFrame.from_ndarray(
            _to_16_bit(sound)[None], format="s16", layout="mono"
        )
        audio_frame.sample_rate = RATE
        audio_frame.pts = 0
        for packets in (video.encode(None), audio.encode(audio_frame), audio.encode(None)):
            container.mux(packets)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        write_file(temporary, content.getbuffer())


def _to_16_bit(sound: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.rint(32_767 * sound).astype(np.int16)


def _to_yuv(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Converts RGB (H, W, 3) to YUV 4:2:0 after BT.601, (3 H / 2, W), with integers alone.

    FFmpeg rounds differently in its C code and in its SIMD code.
    """
    height, width, _ = pixels.shape
    rgb = pixels.astype(np.int32)
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    y = ((66 * r + 129 * g + 25 * b + 128) >> 8) + 16
    # Sums over squares of four pixels.
    squares = rgb.reshape(height // 2, 2, width // 2, 2, 3).sum(axis=(1, 3))
    r, g, b = squares[..., 0], squares[..., 1], squares[..., 2]
    u = ((-38 * r - 74 * g + 112 * b + 512) >> 10) + 128
    v = ((112 * r - 94 * g - 18 * b + 512) >> 10) + 128
    return np.concatenate([y.ravel(), u.ravel(), v.ravel()]).astype(np.uint8).reshape(-1, width)


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
