"""A disk that refuses to take more ends the run; it is not the fault of a video."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from avrobust.preparation import extract
from avrobust.preparation.extract import ExtractionJob, extract_clip
from tests.data.prepared import entries, manifest, run
from tests.data.videos import steady, write_video

# The system refuses to write more than so many bytes into one file, in this process and those that
# it starts. The sound of one second fits, that of two seconds does not.
LIMIT = 30_000

PROGRAM = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT}))
"""


def run_limited(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM + program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def test_a_write_that_fails_ends_prepare_and_the_same_command_goes_on(tmp_path: Path) -> None:
    videos, root = tmp_path / "videos", tmp_path / "root"
    for label in ("bell", "drum"):
        write_video(videos / label / "1.mp4")
        write_video(videos / label / "2.mp4", times=steady(2, 8))
    limited = run_limited(
        "from avrobust.cli.main import main\nsys.exit(main(sys.argv[1:]))",
        *("prepare", str(videos), str(root), "--workers", "1"),
    )
    assert limited.returncode == 2
    (line,) = limited.stderr.strip().splitlines()
    assert line.startswith(f"avrobust: {root}/")
    assert "File too large" in line
    assert {row["status"] for row in manifest(root).values()} <= {"ok"}
    assert run(videos, root).reasons == {}
    assert len(entries(root)) == 4


def test_a_write_that_fails_ends_the_generation_of_films(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from avrobust.synthetic.generate import generate\n"
        "try: generate(Path(sys.argv[1]), clips={'train': 1, 'val': 0, 'test': 0}, workers=1)\n"
        "except OSError as error: print(error.errno, error.filename)\n"
    )
    completed = run_limited(program, str(tmp_path / "videos"))
    number, _, name = completed.stdout.strip().partition(" ")
    assert int(number) == errno.EFBIG, completed.stderr
    assert name.startswith(str(tmp_path / "videos"))
    assert list(tmp_path.rglob("*.mp4*")) == []


def test_a_video_that_cannot_be_read_is_skipped(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(clip))

    job = ExtractionJob(clip, tmp_path / "root", tmp_path / "scratch", "bell", "1", short_side=256)
    for stage in ("scan", "read_audio", "read_frames"):
        with monkeypatch.context() as patch:
            patch.setattr(extract, stage, broken)
            result = extract_clip(job)
        assert (result.frames, result.note) == (0, "the video cannot be read: Input/output error")
    assert extract_clip(job).frames == 8
