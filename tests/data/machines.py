"""Fingerprints of generated clips, here or in a process that hides instructions of the processor.

Run as a script, it prints the fingerprints of `CLIPS`. Two environment variables limit the
instructions that are used: FFMPEG_CPU_FLAGS those of FFmpeg, X264_ASM those of x264.
"""

import ctypes
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import av
import decord  # noqa: F401 - loads an FFmpeg of its own, which is limited too
import numpy as np

from avrobust.preparation.extract import ExtractionJob, extract_clip
from avrobust.synthetic import mp4
from avrobust.synthetic.generate import generate_film
from avrobust.synthetic.plan import ClipSpec
from avrobust.synthetic.settings import Settings

# A plucked, a struck and a sustained tone; the last is the longest of all sounds to compute.
CLIPS = tuple(
    ClipSpec("train", label, 0) for label in ("acoustic_guitar", "xylophone", "accordion")
)

_DISPATCHED = np._core._multiarray_umath.__cpu_dispatch__
_NEWER_THAN_AVX2 = [name for name in _DISPATCHED if "AVX512" in name or name == "X86_V4"]

# Flags of libavutil/cpu.h, up to SSE 4.2 and up to AVX2 with FMA.
_SSE42, _AVX2 = 0x3FFF, 0x7FFFF

# What each machine hides of the processor, from numpy, OpenBLAS, the C library, FFmpeg, x264 and
# libjpeg-turbo in this order. numpy's wheels need SSE 4.2. x264 is shown no instruction at all.
MACHINES: Mapping[str, Mapping[str, str]] = {
    "SSE 4.2": {
        "NPY_DISABLE_CPU_FEATURES": " ".join(_DISPATCHED),
        "OPENBLAS_CORETYPE": "Nehalem",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA,-FMA4",
        "FFMPEG_CPU_FLAGS": str(_SSE42),
        "X264_ASM": "0",
        "JSIMD_FORCESSE2": "1",
    },
    "AVX2": {
        "NPY_DISABLE_CPU_FEATURES": " ".join(_NEWER_THAN_AVX2),
        "OPENBLAS_CORETYPE": "Haswell",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F",
        "FFMPEG_CPU_FLAGS": str(_AVX2),
        "X264_ASM": "AVX2",
    },
}


def fingerprints(spec: ClipSpec, folder: Path) -> dict[str, str]:
    """Generates and prepares a clip, and hashes the film, the sound and the frames."""
    generate_film(folder, Settings(0), spec)
    film = folder / spec.path
    root = folder / "prepared"
    job = ExtractionJob(film, root, folder / "scratch", spec.label, film.stem, short_side=256)
    assert extract_clip(job).frames == 48
    frames = sorted((root / "frames" / spec.label / film.name).iterdir())
    return {
        "film": _sha256([film]),
        "sound": _sha256([root / "audio" / spec.label / f"{film.stem}.wav"]),
        "frames": _sha256(frames),
    }


def fingerprints_on(machine: str) -> dict[str, dict[str, str]]:
    """The fingerprints of `CLIPS`, by label, from a process on an emulated machine."""
    completed = subprocess.run(
        [sys.executable, "-W", "ignore", __file__],
        env={**os.environ, **MACHINES[machine]},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(completed.stdout))


def _sha256(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def _limit_ffmpeg(flags: int) -> None:
    packages = Path(av.__file__).parent.parent
    libraries = [*packages.glob("*.libs/libavutil*"), *packages.glob("decord/libavutil*")]
    assert libraries, "the wheels bring no FFmpeg of their own"
    for path in libraries:
        library = ctypes.CDLL(str(path))
        library.av_force_cpu_flags(library.av_get_cpu_flags() & flags)


def _main() -> None:
    if flags := os.environ.get("FFMPEG_CPU_FLAGS"):
        _limit_ffmpeg(int(flags))
    if asm := os.environ.get("X264_ASM"):
        mp4._H264["x264-params"] = f"{mp4._H264.get('x264-params', '')}:asm={asm}".lstrip(":")
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(
            json.dumps({spec.label: fingerprints(spec, Path(folder)) for spec in CLIPS})
        )


if __name__ == "__main__":
    _main()
