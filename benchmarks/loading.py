"""Loading of prepared clips, and `avrobust prepare`, against a plain loop and bare decoding.

    python benchmarks/loading.py --clips 8 --repeats 5

Plain loop: as the released code goes about it. The whole WAV (librosa), of which a window is kept;
the whole frame (Pillow), resized, cropped and made a tensor by torchvision.
Ours: `avrobust.data.clips.Clips`, which reads the window, decodes the JPEG at a fraction of its
size where twice the size wanted is left, and resizes the crop alone.
Floor: the bytes of the window, read; the JPEG at the size at which it has to be decoded, decoded by
Pillow. One process, interleaved, medians; files in the page cache. The line of prepared frames
against stored ones is what `avrobust prepare` saves by storing frames with a short side of 256
pixels: not the same files on both sides.

Preparing: the share of bare decoding is what decoding every frame once with decord takes of
`prepare` with one worker, which decodes twice (see `avrobust.preparation.timeline`), starting the
workers not counted.
"""

import argparse
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import decord
import librosa
import numpy as np
import pandas as pd
import torch
from made import CLASSES, medians, photo, write_clip
from PIL import Image
from torch import Tensor
from torchvision import transforms

from avrobust.data.clips import REDUCING_GAP, Clips
from avrobust.data.layout import FRAME_RATE, SAMPLE_RATE, Entry, Format
from avrobust.data.sampling import middle_frame, window_start
from avrobust.preparation.prepare import prepare

STORED = {"prepared": (455, 256), "720p": (1280, 720)}
PAPER, EMBEDDED = Format(), Format(image_size=64, audio_samples=11_264)


class Case(NamedTuple):
    """What is read: frames of the plain loop and ours, seconds of the WAVs, size of a sample."""

    theirs: str
    ours: str
    seconds: int
    form: Format


CASES = (
    Case("prepared", "prepared", 10, PAPER),
    Case("prepared", "prepared", 120, PAPER),
    Case("720p", "720p", 10, PAPER),
    Case("720p", "720p", 120, PAPER),
    Case("720p", "prepared", 10, PAPER),
    Case("720p", "prepared", 120, PAPER),
    Case("prepared", "prepared", 10, EMBEDDED),
    Case("720p", "720p", 10, EMBEDDED),
    Case("720p", "720p", 120, EMBEDDED),
)


def plain(root: Path, entry: Entry, form: Format) -> tuple[Tensor, Tensor]:
    """One evaluation sample."""
    frame = middle_frame(entry.frames)
    audio, _ = librosa.load(entry.audio_path(root), sr=None, mono=True)
    start = window_start(frame, form.audio_samples, len(audio))
    window = torch.from_numpy(audio[start : start + form.audio_samples]).clamp(-1, 1)
    look = transforms.Compose(
        [
            transforms.Resize(form.image_size, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(form.image_size),
            transforms.ToTensor(),
        ]
    )
    return window, look(Image.open(entry.frame_path(root, frame)).convert("RGB"))


def floor(root: Path, entry: Entry, form: Format) -> bytes:
    """What cannot be left out; gives the samples."""
    frame, least = middle_frame(entry.frames), int(REDUCING_GAP * form.image_size)
    with Image.open(entry.frame_path(root, frame)) as file:
        file.draft(None, (least, least))
        file.load()
    with entry.audio_path(root).open("rb") as file:
        available = (entry.audio_path(root).stat().st_size - 44) // 2
        file.seek(44 + 2 * window_start(frame, form.audio_samples, available))
        return file.read(2 * form.audio_samples)


def loading(clips: int = 8, repeats: int = 5, cases: tuple[Case, ...] = CASES) -> pd.DataFrame:
    """Milliseconds a clip, one line a case."""
    with tempfile.TemporaryDirectory() as folder:
        return pd.DataFrame([_line(case, Path(folder), clips, repeats) for case in cases])


def _line(case: Case, folder: Path, count: int, repeats: int) -> dict[str, object]:
    theirs, ours = (
        _made(folder, stored, case.seconds, count) for stored in (case.theirs, case.ours)
    )
    entries, form = [_entry(i, case.seconds) for i in range(count)], case.form
    read = Clips(ours, entries, list(CLASSES), form, training=False)
    calls = {
        "plain": lambda: [plain(theirs, entry, form) for entry in entries],
        "ours": lambda: [read[0, i] for i in range(count)],
        "floor": lambda: [floor(ours, entry, form) for entry in entries],
    }
    ms = {name: 1e3 * seconds / count for name, seconds in medians(calls, repeats).items()}
    stored = case.ours if case.ours == case.theirs else f"{case.ours} against {case.theirs}"
    return {
        "frames": stored,
        "WAV, s": case.seconds,
        "sample": f"{form.image_size} px, {form.audio_samples / SAMPLE_RATE:.1f} s",
        "plain, ms a clip": ms["plain"],
        "ours, ms a clip": ms["ours"],
        "ratio": ms["plain"] / ms["ours"],
        "floor, ms": ms["floor"],
        "over the floor": ms["ours"] / ms["floor"],
    }


def _entry(number: int, seconds: int) -> Entry:
    return Entry(CLASSES[number % 3], str(number), seconds * FRAME_RATE)


def _made(folder: Path, stored: str, seconds: int, count: int) -> Path:
    root = folder / f"{stored}{seconds}"
    if not root.exists():
        for i in range(count):
            write_clip(root, _entry(i, seconds), STORED[stored], seconds, i)
    return root


def preparing(videos: int = 12, seconds: int = 6) -> pd.DataFrame:
    """`avrobust prepare` on one and two workers, seconds a video, beside decoding alone."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "videos")
        for i in range(videos):
            write_video(source / CLASSES[i % 3] / f"{i}.mp4", i, seconds)
        decode(source)
        bare = decode(source) / videos
        each = {
            workers: _seconds_a_video(source, Path(folder, str(workers)), workers)
            for workers in (1, 2)
        }
    lines = [
        {
            "workers": workers,
            "s a video": found,
            "times one worker's speed": each[1] / found,
            "bare decoding, s": bare,
            "share of bare decoding": bare / (found * workers),
        }
        for workers, found in each.items()
    ]
    return pd.DataFrame(lines)


def _seconds_a_video(videos: Path, root: Path, workers: int) -> float:
    """Counted from the moment when every worker has done one: starting them takes seconds."""
    prepare(videos, root, workers=workers)
    ends = sorted(path.stat().st_mtime for path in (root / "audio").rglob("*.wav"))
    return (ends[-1] - ends[workers - 1]) / (len(ends) - workers)


def decode(videos: Path) -> float:
    """Seconds of decoding every frame of every video once."""
    started = time.perf_counter()
    for path in videos.rglob("*.mp4"):
        reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
        for _ in range(len(reader)):
            reader.next()
    return time.perf_counter() - started


def write_video(
    path: Path, number: int, seconds: int, size: tuple[int, int] = (640, 360), rate: int = 25
) -> None:
    """An H.264 and AAC film: a camera that glides over a photo, and noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    width, height = size
    scene = np.asarray(photo(number, 2 * width, 2 * height))
    with av.open(str(path), "w") as container:
        picture = container.add_stream(
            "libx264", rate=rate, options={"preset": "veryfast", "crf": "23"}
        )
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        sound = container.add_stream("aac", rate=44_100, layout="mono")
        for i in range(rate * seconds):
            x, y = i * width // (rate * seconds), i * height // (rate * seconds)
            shown = np.ascontiguousarray(scene[y : y + height, x : x + width])
            container.mux(picture.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        container.mux(picture.encode())
        for at in range(0, 44_100 * seconds, 1024):
            noise = av.AudioFrame.from_ndarray(
                rng.uniform(-0.3, 0.3, (1, 1024)).astype(np.float32), format="fltp", layout="mono"
            )
            noise.sample_rate, noise.pts, noise.time_base = 44_100, at, Fraction(1, 44_100)
            container.mux(sound.encode(noise))
        container.mux(sound.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--videos", type=int, default=12)
    given = parser.parse_args()
    print(loading(given.clips, given.repeats).to_markdown(index=False, floatfmt=".2f"))
    print()
    print(preparing(given.videos).to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    main()
