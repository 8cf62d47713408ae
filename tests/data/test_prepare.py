import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from avrobust.data.layout import SPLITS, Entry, read_list
from avrobust.errors import UserError
from avrobust.preparation.extract import ExtractionJob, ExtractionResult, extract_clip
from avrobust.preparation.manifest import ManifestRow
from avrobust.preparation.prepare import _fill_train
from tests.data.prepared import assert_whole, entries, manifest, run
from tests.data.videos import noisy, steady, write_video


def test_class_folders_become_the_layout(videos: Path, tmp_path: Path) -> None:
    (videos / "labels.csv").write_text("not in a class folder")
    (videos / "flute" / ".hidden.mp4").write_text("hidden")
    (videos / ".trash").mkdir()
    (videos / "tuba" / "deeper").mkdir()
    summary = run(videos, tmp_path / "root")
    root = tmp_path / "root"
    assert (summary.made, len(summary.prepared), summary.drawn) == (10, 10, True)
    assert summary.sizes == {"train": 6, "val": 2, "test": 2}
    assert {entry.key for entry in entries(root)} == {
        f"{label}/{i}" for label in ("flute", "tuba") for i in range(5)
    }
    assert {entry.label for entry in read_list(root / "train.csv")} == {"flute", "tuba"}
    for entry in entries(root):
        assert entry.frames == 8
        assert_whole(root, entry)
    assert {path.name for path in root.iterdir()} == {
        "audio", "frames", "manifest.csv", "prepare.json", "train.csv", "val.csv", "test.csv"
    }  # fmt: skip
    row = manifest(root)["flute/0.mp4"]
    assert (row["class"], row["stem"], row["frames"], row["samples"], row["status"]) == (
        "flute",
        "0",
        "8",
        "11025",
        "ok",
    )
    assert row["split"] in SPLITS
    assert json.loads((root / "prepare.json").read_text())["short_side"] == 256


def test_a_labels_file_decides(tmp_path: Path, clip: Path) -> None:
    videos = tmp_path / "videos"
    for name in ("deep/er/a.mp4", "top.mp4", "deep/a.mp4", "unlisted/x.mp4"):
        (videos / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, videos / name)
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "path,label,split,who\n"
        "deep/er/a.mp4,one,train,ann\n"
        "deep/a.mp4,one,valid,bob\n"
        "top.mp4,two,test,ann\n"
        "top.mp4,two,train,ann\n"
        "top.mp4,one,test,ann\n"
        "gone.mp4,two,test,ann\n"
    )
    root = tmp_path / "root"
    summary = run(videos, root, labels=labels)
    assert not summary.drawn
    assert read_list(root / "train.csv") == [Entry("one", "a_2", 8), Entry("two", "top", 8)]
    assert read_list(root / "val.csv") == [Entry("one", "a", 8)]
    assert read_list(root / "test.csv") == [Entry("one", "top", 8), Entry("two", "top", 8)]
    assert summary.reasons == {"no such file": ["gone.mp4"]}
    assert [row.source for row in summary.rows if " " in row.split] == ["top.mp4"]
    other = run(videos, tmp_path / "other", labels=labels, label_column="who")
    assert {(row.label, row.stem) for row in other.prepared} == {
        ("ann", "a"),
        ("ann", "top"),
        ("bob", "a"),
    }


def test_one_stem_twice_in_a_class_is_two_clips(tmp_path: Path, clip: Path) -> None:
    folder = tmp_path / "videos" / "flute"
    write_video(
        folder / "a.webm",
        times=steady(2, 8),
        codec="libvpx-vp9",
        sound_codec="libopus",
        rate=48_000,
    )
    shutil.copy(clip, folder / "a.mp4")
    shutil.copy(clip, folder / "a")
    shutil.copy(clip, folder / "a_2.txt")
    run(tmp_path / "videos", tmp_path / "root")
    rows = manifest(tmp_path / "root")
    assert {source: (row["stem"], row["frames"]) for source, row in rows.items()} == {
        "flute/a": ("a", "8"),
        "flute/a.mp4": ("a_3", "8"),
        "flute/a.webm": ("a_4", "16"),
        "flute/a_2.txt": ("a_2", "8"),
    }
    for entry in entries(tmp_path / "root"):
        assert_whole(tmp_path / "root", entry)


def test_unusable_videos_are_listed_and_the_others_kept(
    videos: Path, tmp_path: Path, clip: Path
) -> None:
    whole = run(videos, tmp_path / "whole")
    (videos / "flute" / "0.mp4").write_bytes(b"")
    (videos / "flute" / "1.mp4").write_text("text")
    write_video(videos / "tuba" / "4.mp4", sound=np.zeros((1, 0)))
    summary = run(videos, tmp_path / "root")
    assert summary.reasons == {
        "empty file": ["flute/0.mp4"],
        "not a readable media file": ["flute/1.mp4"],
        "no audio track": ["tuba/4.mp4"],
    }
    assert "Invalid data" in manifest(tmp_path / "root")["flute/1.mp4"]["note"]
    splits = {row.source: row.split for row in whole.rows}
    assert [row.split for row in summary.prepared] == [
        splits[row.source] for row in summary.prepared
    ]
    assert len(entries(tmp_path / "root")) == 7


def crash_on_tuba(job: ExtractionJob) -> ExtractionResult:
    """Stands in for a decoder that dies on one kind of file."""
    if job.label == "tuba":
        os.kill(os.getpid(), signal.SIGSEGV)
    return extract_clip(job)


def test_a_crashing_decoder_costs_its_own_clips(videos: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("avrobust.preparation.prepare.extract_clip", crash_on_tuba)
    summary = run(videos, tmp_path / "root")
    assert summary.reasons == {"decoder crashed": [f"tuba/{i}.mp4" for i in range(5)]}
    assert {entry.key for entry in entries(tmp_path / "root")} == {f"flute/{i}" for i in range(5)}
    monkeypatch.undo()
    assert (run(videos, tmp_path / "root").made, len(entries(tmp_path / "root"))) == (5, 10)


def row(label: str, stem: str, split: str, status: str) -> ManifestRow:
    return ManifestRow(f"{label}/{stem}", label, stem, split, 8, 11_025, status, "", 1, 1)


def test_a_class_without_train_clips_left_gets_one_back() -> None:
    rows = [
        row("a", "1", "train", "skipped"),
        row("a", "2", "val", "ok"),
        row("a", "3", "test", "ok"),
        row("b", "1", "train", "ok"),
        row("b", "2", "test", "ok"),
        row("c", "1", "test", "skipped"),
    ]
    assert [row.split for row in _fill_train(rows)] == [
        "train",
        "train",
        "test",
        "train",
        "test",
        "test",
    ]


def test_done_clips_are_not_done_again_and_changed_ones_are(videos: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    run(videos, root)
    stamps = {entry.key: entry.audio_path(root).stat().st_mtime_ns for entry in entries(root)}
    assert run(videos, root).made == 0
    write_video(videos / "flute" / "0.mp4", times=steady(2, 8))
    Entry("flute", "1", 8).audio_path(root).unlink()
    shutil.rmtree(Entry("tuba", "1", 8).frames_path(root))
    assert run(videos, root).made == 3
    for entry in entries(root):
        assert entry.frames == (16 if entry.key == "flute/0" else 8)
        assert_whole(root, entry)
        redone = entry.audio_path(root).stat().st_mtime_ns != stamps[entry.key]
        assert redone == (entry.key in ("flute/0", "flute/1", "tuba/1"))


def test_pipes_and_devices_are_never_read(tmp_path: Path, clip: Path) -> None:
    """Reading one would not end. An empty pipe hangs and /dev/zero has no end."""
    videos, root = tmp_path / "videos", tmp_path / "root"
    (videos / "a").mkdir(parents=True)
    for name in ("ok.mp4", "pipe.mp4", "zero.mp4"):
        shutil.copy(clip, videos / "a" / name)
    assert run(videos, root).made == 3
    (videos / "a" / "pipe.mp4").unlink()
    os.mkfifo(videos / "a" / "pipe.mp4")
    (videos / "a" / "zero.mp4").unlink()
    (videos / "a" / "zero.mp4").symlink_to("/dev/zero")
    reasons = {"no such file": ["a/pipe.mp4", "a/zero.mp4"]}
    assert run(videos, root).reasons == reasons
    assert run(videos, tmp_path / "first").reasons == reasons


def test_frames_are_capped(tmp_path: Path) -> None:
    write_video(tmp_path / "videos" / "a" / "x.mp4", paint=noisy((160, 120)))
    run(tmp_path / "videos", tmp_path / "root", short_side=90)
    with Image.open(Entry("a", "x", 8).frame_path(tmp_path / "root", 1)) as frame:
        assert frame.size == (120, 90)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"short_side": 100}, "was prepared with short_side 256, not 100"),
        ({"short_side": 0}, "short_side must be an integer of at least 1, not 0"),
        ({"seed": -1}, "seed must be an integer from 0 to 4294967295, not -1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    videos: Path, tmp_path: Path, options, message: str
) -> None:
    shutil.rmtree(videos / "tuba")
    run(videos, tmp_path / "root")
    with pytest.raises((UserError, ValueError), match=message):
        run(videos, tmp_path / "root", **options)


def test_folders_that_make_no_sense_are_refused(videos: Path, tmp_path: Path, clip: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "flat").mkdir()
    shutil.copy(clip, tmp_path / "flat" / "a.mp4")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "train.csv").write_text("precious")
    (tmp_path / "file").write_text("")
    for folder, root, message in [
        ("missing", "root", "missing: no such folder"),
        ("empty", "root", "empty: no clips"),
        ("flat", "root", "flat: no clips; expected .*flat/<class>/<clip>"),
        ("videos", "videos/root", "inside the folder of videos"),
        ("videos", "videos", "inside the folder of videos"),
        ("videos", "foreign", "foreign: holds 'train.csv'"),
        ("videos", "file", "file: "),
    ]:
        with pytest.raises(UserError, match=message) as caught:
            run(tmp_path / folder, tmp_path / root)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "foreign" / "train.csv").read_text() == "precious"
    assert sorted(path.name for path in videos.iterdir()) == ["flute", "tuba"]


def test_another_set_of_videos_does_not_displace_the_first(
    videos: Path, tmp_path: Path, clip: Path
) -> None:
    run(videos, tmp_path / "root")
    (tmp_path / "others" / "harp").mkdir(parents=True)
    shutil.copy(clip, tmp_path / "others" / "harp" / "a.mp4")
    with pytest.raises(UserError, match="clips of other videos"):
        run(tmp_path / "others", tmp_path / "root")
    assert len(entries(tmp_path / "root")) == 10


@pytest.mark.parametrize("label", ["..", "", "a/b", "."])
def test_a_label_cannot_leave_the_root(tmp_path: Path, clip: Path, label: str) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copy(clip, tmp_path / "videos" / "a.mp4")
    (tmp_path / "labels.csv").write_text(f"path,label\na.mp4,{label}\n")
    with pytest.raises(UserError, match="cannot be a class"):
        run(tmp_path / "videos", tmp_path / "root", labels=tmp_path / "labels.csv")
    assert not (tmp_path / "root").exists()


def test_nothing_usable_is_an_error_that_says_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "videos" / "a").mkdir(parents=True)
    (tmp_path / "videos" / "a" / "x.mp4").touch()
    with pytest.raises(
        UserError, match=r"no usable video; a/x.mp4: empty file \(all in .*manifest.csv\)"
    ):
        run(tmp_path / "videos", tmp_path / "root")
    assert manifest(tmp_path / "root")["a/x.mp4"]["status"] == "skipped"


def test_two_runs_at_once_are_refused(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "root" / ".prepare").mkdir(parents=True)
    with (
        FileLock(tmp_path / "root" / ".prepare" / "lock"),
        pytest.raises(UserError, match="another `avrobust prepare`"),
    ):
        run(videos, tmp_path / "root")
