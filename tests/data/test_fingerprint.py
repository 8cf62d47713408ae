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
        rows = [row[:10] for row in csv.reader(file)]
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


def same_size_and_time(path: Path, content: bytes) -> None:
    """Writes a file as `cp -p` does it with a file of equal size and time."""
    status = path.stat()
    path.write_bytes(content)
    assert path.stat().st_size == status.st_size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_videos_exchanged_with_equal_sizes_and_times_are_noticed(
    prepared_once: tuple[Path, Path], tmp_path: Path
) -> None:
    """Zeros behind the last box of an MP4 file are no part of the film."""
    videos, root = prepared_once
    loud = write_video(tmp_path / "other.mp4", sound=np.full((1, 11_025), 0.25, np.float32))
    before, names = fingerprint(root), ("0.mp4", "1.mp4")
    size = max(loud.stat().st_size, (videos / "flute" / "0.mp4").stat().st_size) + 8
    for name in names:
        path = videos / "flute" / name
        path.write_bytes(path.read_bytes().ljust(size, b"\0"))
    run(videos, root)
    assert fingerprint(root) == before
    for name in names:
        same_size_and_time(videos / "flute" / name, loud.read_bytes().ljust(size, b"\0"))
    elsewhere = tmp_path / "new root"
    assert run(videos, root).made == 2
    run(videos, elsewhere)
    assert fingerprint(root) == fingerprint(elsewhere) != before


def test_videos_that_were_copied_or_touched_are_not_decoded_again(
    prepared_once: tuple[Path, Path], tmp_path: Path
) -> None:
    videos, root = prepared_once
    manifest = (root / "manifest.csv").read_text()
    for path in videos.rglob("*.mp4"):
        path.touch()
    assert run(videos, root).made == 0
    assert run(copy_without_times(videos, tmp_path / "copy"), root).made == 0
    assert (root / "manifest.csv").read_text() != manifest  # the new times are kept


def change_by_hand(kind: str, root: Path) -> None:
    """Changes a clip below the manifest's hashes, in place and without a new size."""
    if kind == "sound":
        path = next((root / "audio").rglob("*.wav"))
        path.write_bytes(path.read_bytes()[:-2] + b"\1\2")
        return
    for path in next((root / "frames").glob("*/*")).iterdir():
        path.write_bytes(path.read_bytes()[:-2] + b"\0\0")


@pytest.mark.parametrize("kind", ["sound", "frames"])
def test_a_root_changed_by_hand_is_other_data_until_it_is_prepared_again(
    prepared_once: tuple[Path, Path], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, root = prepared_once
    before = fingerprint(root)
    assert not (root / "checked.json").exists()
    assert capsys.readouterr().err == ""
    change_by_hand(kind, root)
    changed = fingerprint(root)
    assert changed != before
    assert "the files of 1 clips are not those that were prepared" in capsys.readouterr().err
    assert fingerprint(root) == changed
    assert capsys.readouterr().err == ""  # it is remembered
    assert run(videos, root).made == 1
    assert fingerprint(root) == before


def test_a_copy_without_times_is_read_once(
    prepared_once: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, root = prepared_once
    copy, before = copy_without_times(root, tmp_path / "copy"), fingerprint(root)
    assert fingerprint(copy) == before
    assert "reading them once" in capsys.readouterr().err
    assert fingerprint(copy) == before
    assert capsys.readouterr().err == ""
    with_times = Path(shutil.copytree(root, tmp_path / "with times"))
    assert fingerprint(with_times) == before
    assert capsys.readouterr().err == ""
    (copy / "checked.json").write_text("[broken")
    assert fingerprint(copy) == before
    change_by_hand("sound", copy)
    assert fingerprint(copy) != before


def test_a_clip_that_is_gone_is_other_data(prepared_once: tuple[Path, Path]) -> None:
    _, root = prepared_once
    before = fingerprint(root)
    next((root / "audio").rglob("*.wav")).unlink()
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


DAMAGE = {
    "a byte that is not UTF-8": lambda content: content[:-20] + b"\xff" + content[-19:],
    "a field too long for CSV": lambda content: content[:-20] + b"0" * 200_000 + b"\n",
    "a quote that is never closed": lambda content: content[:-150] + b',"' + content[-148:],
    "noise": lambda content: np.random.default_rng(0).bytes(len(content)),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_rows_of_the_manifest_are_left_out(
    prepared_once: tuple[Path, Path], kind: str
) -> None:
    videos, root = prepared_once
    before, manifest = fingerprint(root), root / "manifest.csv"
    manifest.write_bytes(DAMAGE[kind](manifest.read_bytes()))
    fingerprint(root)  # does not fail
    # The other clips are kept.
    assert 1 <= run(videos, root).made <= (6 if kind == "noise" else 2)
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
