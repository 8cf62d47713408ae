"""The fingerprint of a data set: its content under whatever name and in whatever place."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from avrobust.data.layout import Entry
from avrobust.data.prepared import Prepared
from tests.data.prepared import run
from tests.data.videos import write_video
from tests.support import write_prepared


def fingerprint(root: Path) -> str:
    return Prepared(str(root)).fingerprint()


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    """A folder with `videos` and the `root` that was prepared from them."""
    folder = tmp_path_factory.mktemp("first run")
    for label in ("flute", "tuba"):
        (folder / "videos" / label).mkdir(parents=True)
        for number in range(3):
            shutil.copy(clip, folder / "videos" / label / f"{number}.mp4")
    run(folder / "videos", folder / "root")
    return folder


@pytest.fixture
def prepared_once(first_run: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of both, with the times of the files."""
    shutil.copytree(first_run, tmp_path, dirs_exist_ok=True)
    return tmp_path / "videos", tmp_path / "root"


def copy_without_times(root: Path, place: Path) -> Path:
    """A copy as `cp -r` or an upload makes it: the files have other times."""
    shutil.copytree(root, place, copy_function=shutil.copyfile)
    for path in place.rglob("*"):
        os.utime(path, (1, 1))
    return place


def drop_hashes(root: Path) -> None:
    """Turns a manifest to what older versions wrote."""
    path = root / "manifest.csv"
    with path.open(newline="") as file:
        rows = [row[:-1] for row in csv.reader(file)]
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def test_content_is_recognized_wherever_it_lies(
    prepared_once: tuple[Path, Path], tmp_path: Path
) -> None:
    videos, root = prepared_once
    before = fingerprint(root)
    assert fingerprint(copy_without_times(root, tmp_path / "copy")) == before
    assert run(videos, root).made == 0
    assert fingerprint(root) == before


def test_another_video_of_the_same_name_is_other_data(prepared_once: tuple[Path, Path]) -> None:
    videos, root = prepared_once
    before, lists = fingerprint(root), (root / "train.csv").read_text()
    write_video(videos / "flute" / "0.mp4", sound=np.full((1, 11_025), 0.25, np.float32))
    assert run(videos, root).made == 1
    assert (root / "train.csv").read_text() == lists
    assert fingerprint(root) != before


def test_a_root_of_an_older_version_gets_its_hashes_without_decoding(
    prepared_once: tuple[Path, Path], tmp_path: Path
) -> None:
    videos, root = prepared_once
    before = fingerprint(root)
    drop_hashes(root)
    by_times = fingerprint(root)
    assert by_times != before
    assert fingerprint(copy_without_times(root, tmp_path / "copy")) != by_times
    assert run(videos, root).made == 0
    assert fingerprint(root) == before


def test_a_hash_that_a_killed_run_cut_is_not_believed(prepared_once: tuple[Path, Path]) -> None:
    videos, root = prepared_once
    before, manifest = fingerprint(root), root / "manifest.csv"
    manifest.write_text(manifest.read_text()[:-9])
    assert run(videos, root).made == 1
    assert fingerprint(root) == before


@pytest.mark.parametrize("kind", ["sound", "frame", "frame added", "sound gone"])
def test_without_a_manifest_sizes_and_times_tell(tmp_path: Path, kind: str) -> None:
    root, entry = tmp_path / "root", Entry("drum", "test 1", 20)
    write_prepared(root)
    before = fingerprint(root)
    assert fingerprint(root) == before
    moved = root.rename(tmp_path / "moved")
    assert fingerprint(moved) == before
    sound, frame = entry.audio_path(moved), entry.frame_path(moved, 10)
    if kind == "sound gone":
        sound.unlink()
    elif kind == "frame added":
        shutil.copy(frame, entry.frame_path(moved, 21))
    else:  # in place, of the same size
        path = sound if kind == "sound" else frame
        path.write_bytes(path.read_bytes())
    assert fingerprint(moved) != before
