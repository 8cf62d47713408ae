"""Damaged, exchanged and joined media files go through the worker pool of `prepare`."""

import math
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import strategies as st
from PIL import Image

from avrobust.data.layout import FRAME_RATE, SAMPLE_RATE, Entry
from avrobust.errors import UserError
from avrobust.preparation.limits import Limits
from avrobust.preparation.prepare import prepare
from tests.data.test_clocks import FIRST, SECOND, join, record
from tests.data.videos import noisy, sine, steady, write_video
from tests.fuzz.rounds import Rounds

LIMITS = Limits(seconds=30, frames=2000, pixels=1_000_000, memory=1024, minutes=1)
ENDINGS = (".mp4", ".ts", ".mkv", ".avi", ".webm", ".jpg", ".wav", ".m3u8", "")

# A mutation is a kind, a place and a size as shares of the file, and a seed.
share = st.floats(0, 1, allow_nan=False)
mutation = st.tuples(
    st.sampled_from(("flip", "cut", "drop", "move", "zero", "header", "join", "noise")),
    share,
    share,
    st.integers(0, 2**32 - 1),
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("originals")
    files = [
        write_video(folder / "a.mp4", paint=noisy((64, 48))),
        write_video(folder / "b.mp4", times=steady(2, 25), options={"movflags": "faststart"}),
        write_video(folder / "c.webm", codec="libvpx-vp9", sound_codec="libopus", rate=48_000),
        write_video(folder / "d.avi", codec="mjpeg", sound_codec="pcm_s16le"),
        write_video(folder / "e.mkv", sound=sine(1.0, 48_000), sound_codec="ac3", rate=48_000),
        record(folder / "f.ts", FIRST),
        record(folder / "g.mpg", SECOND, codec="mpeg2video", sound_codec="mp2"),
        join(folder / "h.ts", record(folder / "1.ts", FIRST), record(folder / "2.ts", SECOND)),
    ]
    return [path.read_bytes() for path in files]


def mutate(
    content: bytes, steps: list[tuple[str, float, float, int]], others: list[bytes]
) -> bytes:
    for kind, place, size, seed in steps:
        rng = np.random.default_rng(seed)
        data = bytearray(content)
        begin = int(place * len(data))
        end = min(len(data), begin + 1 + int(size**3 * len(data)))
        if kind == "flip":
            for position in rng.integers(0, max(1, len(data)), 1 + int(20 * size)):
                if data:
                    data[position] ^= 1 << int(rng.integers(8))
        elif kind == "cut":
            del data[begin:]
        elif kind == "drop":
            del data[begin:end]
        elif kind == "move":
            piece = data[begin:end]
            del data[begin:end]
            position = int(rng.integers(0, len(data) + 1))
            data[position:position] = piece
        elif kind == "zero":
            data[begin:end] = bytes(end - begin)
        elif kind == "header":
            position = int(rng.integers(0, min(len(data), 1000) + 1))
            data[position : position + 4] = rng.bytes(4)
        elif kind == "join":
            data += others[seed % len(others)]
        else:
            data[begin:end] = rng.bytes(end - begin)
        content = bytes(data)
    return content


def assert_finished(root: Path, entry: Entry, samples: int) -> None:
    """The clip has the frames and the samples that the manifest promises."""
    frames = sorted(entry.frames_path(root).iterdir())
    assert [path.name for path in frames] == [f"{i:06d}.jpg" for i in range(1, entry.frames + 1)]
    for path in (frames[0], frames[-1]):
        with Image.open(path) as frame:
            frame.load()
    waveform, rate = soundfile.read(entry.audio_path(root))
    assert (rate, waveform.shape) == (SAMPLE_RATE, (samples,))
    assert samples == round(entry.frames * SAMPLE_RATE / FRAME_RATE)
    assert np.isfinite(waveform).all()


@pytest.mark.fuzz
@pytest.mark.timeout(0)
def test_every_damaged_file_is_prepared_or_skipped(rounds: Rounds, originals: list[bytes]) -> None:
    file = st.tuples(
        st.integers(0, len(originals) - 1),
        st.sampled_from(ENDINGS),
        st.lists(mutation, min_size=1, max_size=4),
    )

    def case(files: list[tuple[int, str, list[tuple[str, float, float, int]]]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            videos, root = Path(folder) / "videos", Path(folder) / "root"
            for i, (original, ending, steps) in enumerate(files):
                path = videos / "ab"[i % 2] / f"{i}{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(mutate(originals[original], steps, originals))
            begin = time.monotonic()
            try:
                rows = prepare(videos, root, workers=2, limits=LIMITS).rows
            except UserError as error:
                if not str(error).startswith("no usable video"):
                    raise
                return
            # Each process has its minute for each file, and the margin of the pool.
            assert time.monotonic() - begin < 120 * math.ceil(len(files) / 2) + 60
            assert len(rows) == len(files)
            for row in rows:
                assert (row.status == "ok") == (row.frames > 0)
                if row.status == "ok":
                    assert row.frames <= LIMITS.seconds * FRAME_RATE
                    assert_finished(root, Entry(row.label, row.stem, row.frames), row.samples)
                else:
                    assert row.note
                    assert "unforeseen" not in row.note, row

    rounds.run(case, cases=3, files=st.lists(file, min_size=16, max_size=16))
