"""Every data set option reads a tiny tree in the real layout: splits, labels, damage, overlaps."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from avrobust.data.clips import Skipped
from avrobust.data.layout import SPLITS, Entry, write_list
from avrobust.data.prepared import Prepared
from avrobust.errors import UserError
from avrobust.experiments.build import build
from avrobust.types import Sample
from tests.support import experiment_for, options

# The embedded sets make their own clips: see tests/data.
READERS = [name for name in options("dataset") if not name.startswith("synthetic")]
SIZES = ("dataset.image_size=16", "dataset.audio_samples=1000")


def tiny_tree(root: Path, lists: Path, list_name: str, classes: list[str]) -> None:
    """Two clips a class and split, silent apart from the class's number.

    Train and test overlap in one clip.
    """
    for split in SPLITS:
        entries = [Entry(name, f"{split}{i}", 16) for name in classes for i in range(2)]
        for entry in entries:
            write_clip(root, entry, level=classes.index(entry.label))
        if split == "test":
            entries.append(Entry(classes[0], "train0", 16))
        write_list(lists / list_name.format(split=split), entries)


def write_clip(root: Path, entry: Entry, level: int, samples: int = 22_050) -> None:
    entry.audio_path(root).parent.mkdir(parents=True, exist_ok=True)
    entry.frames_path(root).mkdir(parents=True)
    soundfile.write(entry.audio_path(root), np.full(samples, level / 64), 11_025, subtype="PCM_16")
    for number in range(1, entry.frames + 1):
        Image.new("RGB", (24, 20), (4 * level, 0, 8 * number)).save(
            entry.frame_path(root, number), quality=95
        )


@pytest.fixture(params=READERS)
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Prepared:
    root, lists = tmp_path / "root", tmp_path / "lists"
    overrides = (
        f"dataset={request.param}",
        f"dataset.root={root}",
        f"dataset.lists={lists}",
        *SIZES,
    )
    option = experiment_for("train", *overrides).model.dataset
    classes = option.values["classes"] or ["ant", "bee", "cat"]
    tiny_tree(root, lists, option.values["list_name"], classes)
    prepared: Prepared = build("dataset", option)
    return prepared


def test_splits_and_labels(dataset: Prepared) -> None:
    for split in SPLITS:
        clips = dataset.clips(split)
        assert len(clips) == 2 * len(dataset.classes) + (split == "test")
        for position, entry in enumerate(clips.entries):
            sample = clips[0, position]
            assert isinstance(sample, Sample)
            assert sample.key == entry.key
            assert dataset.classes[sample.label] == entry.label
            assert float(sample.clip.audio.mean() * 64) == pytest.approx(sample.label, abs=0.01)
            assert float(sample.clip.visual[0, 0].mean() * 255 / 4) == pytest.approx(
                sample.label, abs=0.8
            )


def test_evaluation_looks_at_the_middle_frame(dataset: Prepared) -> None:
    sample = dataset.clips("val")[0, 0]
    assert isinstance(sample, Sample)
    assert float(sample.clip.visual[0, 2].mean() * 255 / 8) == pytest.approx(8, abs=0.4)  # 16 // 2
    assert sample.clip.visual.shape == (1, 3, 16, 16)
    assert sample.clip.audio.shape == (1, 1000)


def test_overlaps_are_reported(dataset: Prepared) -> None:
    assert dataset.overlaps() == {"train and test": 1}


def test_damaged_clips_are_skipped_and_named(dataset: Prepared) -> None:
    clips = dataset.clips("val")
    missing, short, text, silent, rate = [*clips.entries[:4], clips.entries[-1]]
    missing.audio_path(dataset.root).unlink()
    short.frame_path(dataset.root, 8).write_bytes(
        short.frame_path(dataset.root, 8).read_bytes()[:200]
    )
    text.audio_path(dataset.root).write_text("not a sound")
    soundfile.write(silent.audio_path(dataset.root), np.zeros(0), 11_025)
    soundfile.write(rate.audio_path(dataset.root), np.zeros(9000), 8_000)
    items = [clips[0, i] for i in range(len(clips))]
    skipped = {item.key: item.reason for item in items if isinstance(item, Skipped)}
    assert set(skipped) == {entry.key for entry in (missing, short, text, silent, rate)}
    assert re.search("no audio sample", skipped[silent.key])
    assert re.search("sample rate is 8000", skipped[rate.key])
    assert all("\n" not in reason and reason for reason in skipped.values())


def test_the_fingerprint_is_of_the_lists_and_not_of_the_folder(
    dataset: Prepared, tmp_path: Path
) -> None:
    def again(root: Path, lists: Path) -> Prepared:
        return Prepared(str(root), str(lists), dataset._list_name, dataset.classes)

    before = dataset.fingerprint()
    moved = dataset.root.rename(tmp_path / "elsewhere")
    assert again(moved, dataset._lists).fingerprint() == before
    path = dataset._lists / dataset._list_name.format(split="train")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    assert again(moved, dataset._lists).fingerprint() != before


def test_the_released_class_order() -> None:
    music = experiment_for("train", "dataset=music").model.dataset.values["classes"]
    assert music[:4] == ["flute", "acoustic_guitar", "accordion", "xylophone"]
    assert music[-1] == "trumpet"


def test_a_class_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    tiny_tree(tmp_path, tmp_path, "{split}.csv", ["flute", "kazoo"])
    with pytest.raises(UserError, match=r"class 'kazoo' is not among dataset.classes"):
        build(
            "dataset",
            experiment_for("train", "dataset=music", f"dataset.root={tmp_path}").model.dataset,
        )


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda root: (root / "val.csv").unlink(), "val.csv: no such split list"),
        (lambda root: (root / "val.csv").write_text(""), "val.csv: names no clip"),
        (
            lambda root: (root / "val.csv").write_text("a,b\n"),
            "val.csv, line 1: 'a,b' is not of the form",
        ),
        (
            lambda root: (root / "val.csv").write_text("/../x.wav,/../x.mp4,3\n"),
            "line 1: .* is not of the form",
        ),
        (
            lambda root: (root / "audio").rename(root / "sounds"),
            "no folder .*audio; prepare the videos first",
        ),
        (lambda root: one_class(root), "only the class 'ant'; a classifier needs at least two"),
    ],
)
def test_a_root_that_makes_no_sense_is_refused(
    tmp_path: Path, spoil: object, expected: str
) -> None:
    tiny_tree(tmp_path, tmp_path, "{split}.csv", ["ant", "bee"])
    spoil(tmp_path)  # type: ignore[operator]
    with pytest.raises(UserError, match=expected):
        Prepared(str(tmp_path))


def one_class(root: Path) -> None:
    for split in SPLITS:
        write_list(root / f"{split}.csv", [Entry("ant", f"{split}0", 16)])
