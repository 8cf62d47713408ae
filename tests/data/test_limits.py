"""Small files that unfold to hours, gigapixels or endless work are skipped, with the reason."""

import os
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avrobust.errors import UserError
from avrobust.preparation.extract import ExtractionJob, ExtractionResult, extract_clip
from avrobust.preparation.limits import Limits, check_header, limit_memory, limit_time
from avrobust.preparation.media import UnusableClip
from avrobust.preparation.pool import WorkerFailure, map_unordered
from avrobust.preparation.prepare import PRELOAD
from avrobust.preparation.timeline import scan
from tests.data.prepared import run
from tests.data.videos import plain, steady, write_video

SMALL = Limits(seconds=4, frames=100, pixels=64 * 48, memory=512, minutes=5)


def _long_sound(path: Path, seconds: int) -> Path:
    """One picture, and packets of sound whose time stamps go on and on."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=8)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("libopus", rate=48_000, layout="mono")
        picture = np.zeros((48, 64, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        container.mux(video.encode(frame))
        container.mux(video.encode())
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 960), np.float32), format="flt", layout="mono"
        )
        silence.sample_rate, silence.pts = 48_000, 0
        content = bytes((audio.encode(silence) + audio.encode())[0])
        for second in range(0, seconds, 500):
            packet = av.Packet(content)
            packet.stream, packet.time_base = audio, Fraction(1, 1000)
            packet.pts = packet.dts = 1000 * second
            container.mux_one(packet)
    return path


def _headers_promise_less(path: Path) -> Path:
    """MPEG-TS has no header that says how many pictures follow."""
    return write_video(path.with_suffix(".ts"), times=steady(3, 50))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: write_video(path, times=steady(5, 8)), "too long: 5 s"),
        (lambda path: _long_sound(path.with_suffix(".mkv"), 1_800_000), "too long: 1799500 s"),
        (lambda path: write_video(path, times=steady(3, 50)), "too many pictures"),
        (_headers_promise_less, "too many pictures"),
        (lambda path: write_video(path, paint=plain((64, 64))), "a picture is too large: 64 x 64"),
    ],
)
def test_what_exceeds_a_limit_is_skipped(tmp_path: Path, make, reason: str) -> None:
    (tmp_path / "videos" / "a").mkdir(parents=True)
    path = make(tmp_path / "videos" / "a" / "bomb.mp4")
    job = ExtractionJob(path, tmp_path, tmp_path / "scratch", "a", "bomb", 256, limits=SMALL)
    result = extract_clip(job)
    assert (result.frames, result.note[: len(reason)]) == (0, reason)
    assert "--max-" in result.note
    with pytest.raises(UnusableClip, match=reason):
        scan(path, SMALL)  # whatever the headers say


def test_the_limits_are_options_of_prepare(videos: Path, tmp_path: Path) -> None:
    write_video(videos / "tuba" / "long.mp4", times=steady(3, 8))
    summary = run(videos, tmp_path / "root", limits=Limits(seconds=2))
    assert summary.reasons == {"too long": ["tuba/long.mp4"]}
    assert run(videos, tmp_path / "root").made == 1
    with pytest.raises(ValueError, match="memory must be an integer of at least 1, not 0"):
        Limits(memory=0)


def test_the_time_grows_with_the_length_up_to_a_ceiling() -> None:
    times = [Limits().decoding_seconds(length) for length in (0, 10, 40, 3600, 10**9, None)]
    assert times == [120, 320, 920, 3600, 3600, 3600]


def test_an_hour_of_full_hd_has_the_time_it_takes() -> None:
    """Some 51 minutes on a busy core; `--max-seconds` is an hour."""
    limits = Limits()
    assert limits.decoding_seconds(limits.seconds) >= 51 * 60


def test_headers_without_a_length_leave_the_whole_time(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "live.webm",
        codec="libvpx",
        sound_codec="libopus",
        rate=48_000,
        options={"live": "1"},
    )
    limits = Limits(minutes=30)
    assert limits.decoding_seconds(check_header(path, limits)) == 30 * 60


def test_a_picture_wider_than_jpeg_files_costs_its_own_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = plain((65_504, 16))
    path = write_video(tmp_path / "wide.mov", times=[0.0, 0.5], paint=wide, codec="png")
    job = ExtractionJob(path, tmp_path / "root", tmp_path / "scratch", "a", "wide", 256)
    note = extract_clip(job).note
    assert note == "a picture is too large: 65504 x 16 pixels; a side has at most 65500"
    # Whatever else the encoder refuses is the video's problem, not the disk's.
    monkeypatch.setattr("avrobust.preparation.limits.JPEG_SIDE", 10**6)
    assert extract_clip(job).note.startswith("a picture cannot be stored as JPEG: ")


def allocate(mebibytes: int) -> int:
    return len(np.zeros(mebibytes * 2**20, np.uint8))


def small_memory() -> None:
    limit_memory(200)


def test_memory_is_limited_beyond_what_libraries_take() -> None:
    jobs = [100, 400, 50]
    results = dict(
        map_unordered(
            allocate,
            jobs,
            workers=1,
            time_limit=lambda _: 60,
            initializer=small_memory,
            preload=PRELOAD,
        )
    )
    failure = WorkerFailure("needs too much memory: see --max-memory")
    assert results == {100: 100 * 2**20, 400: failure, 50: 50 * 2**20}


def tiny_memory() -> None:
    limit_memory(60)


def test_a_video_that_needs_too_much_memory_costs_its_own_clip(tmp_path: Path, clip: Path) -> None:
    large = write_video(tmp_path / "large.mp4", paint=plain((3840, 2160)), times=steady(0.5, 4))
    jobs = []
    for path in (clip, large, clip):
        number = str(len(jobs))
        scratch = tmp_path / "scratch" / number
        jobs.append(ExtractionJob(path, tmp_path / "root", scratch, "a", number, short_side=256))
    notes = {}
    for job, result in map_unordered(
        extract_clip,
        jobs,
        workers=1,
        time_limit=lambda _: 60,
        initializer=tiny_memory,
        replace_after=lambda result: not result.frames,
        preload=PRELOAD,
    ):
        assert isinstance(result, ExtractionResult | WorkerFailure)
        notes[job.stem] = (
            result.reason if isinstance(result, WorkerFailure) else result.note or "ok"
        )
    assert (notes["0"], notes["2"]) == ("ok", "ok")
    # What a decoder says depends on the allocation that failed.
    assert notes["1"] != "ok"


def linger(seconds: float) -> float:
    limit_time(0.3)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    limit_time(0)
    return seconds


def test_a_process_that_takes_too_long_ends_itself() -> None:
    results = dict(
        map_unordered(linger, [0.0, 30.0], workers=1, time_limit=lambda _: 60, preload=PRELOAD)
    )
    assert results == {0.0: 0.0, 30.0: WorkerFailure("decoding takes too long")}


def test_code_that_has_gone_ends_the_run_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the installed package were exchanged while its processes run."""
    (tmp_path / "exchanged.py").write_text("def double(number):\n    return 2 * number\n")
    monkeypatch.syspath_prepend(tmp_path)
    import exchanged  # type: ignore[import-not-found]

    (tmp_path / "exchanged.py").unlink()
    with pytest.raises(UserError, match="cannot load its code") as caught:
        list(map_unordered(exchanged.double, [1, 2], workers=2, time_limit=lambda _: 60))
    assert os.linesep not in str(caught.value)
