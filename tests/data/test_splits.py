from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from avrobust.errors import UserError
from avrobust.preparation.splits import LabelsRow, parse_split, random_splits, read_labels


def by_class(labels: list[str], splits: list[str]) -> dict[str, Counter[str]]:
    return {
        name: Counter(split for label, split in zip(labels, splits, strict=True) if label == name)
        for name in set(labels)
    }


@pytest.mark.parametrize(
    ("clips", "classes", "sizes"), [(520, 11, (312, 104, 104)), (15_516, 27, (9309, 3103, 3104))]
)
def test_sizes_are_the_papers(clips: int, classes: int, sizes: tuple[int, int, int]) -> None:
    labels = [f"c{i % classes}" for i in range(clips)]
    splits = random_splits(labels)
    assert tuple(splits.count(split) for split in ("train", "val", "test")) == sizes


def test_every_class_is_dealt_in_proportion() -> None:
    labels = ["a"] * 100 + ["b"] * 50 + ["c"] * 10
    counts = by_class(labels, random_splits(labels, seed=3))
    assert counts["a"] == {"train": 60, "val": 20, "test": 20}
    assert counts["b"] == {"train": 30, "val": 10, "test": 10}
    assert counts["c"] == {"train": 6, "val": 2, "test": 2}


def test_the_seed_decides() -> None:
    labels = ["a"] * 30 + ["b"] * 3
    assert random_splits(labels, seed=1) == random_splits(labels, seed=1)
    assert random_splits(labels, seed=1) != random_splits(labels, seed=2)


@pytest.mark.parametrize(
    ("clips", "counts"),
    [
        (1, {"train": 1}),
        (2, {"train": 1, "test": 1}),
        (3, {"train": 1, "val": 1, "test": 1}),
        (4, {"train": 2, "val": 1, "test": 1}),
        (5, {"train": 3, "val": 1, "test": 1}),
    ],
)
def test_tiny_classes(clips: int, counts: dict[str, int]) -> None:
    alone = ["a"] * clips
    assert by_class(alone, random_splits(alone))["a"] == counts
    beside = alone + ["b"] * 50
    assert by_class(beside, random_splits(beside))["a"] == counts


@pytest.mark.parametrize("seed", range(40))
def test_any_sizes_of_classes_give_every_class_to_train(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, rng.choice([3, 7, 30]), size=rng.integers(1, 40))
    labels = [f"c{i}" for i, size in enumerate(sizes) for _ in range(size)]
    splits = random_splits(labels, seed)
    counts = by_class(labels, splits)
    assert all(count["train"] >= 1 for count in counts.values())
    assert all(count["train"] >= count["test"] for count in counts.values())


def test_nothing_to_deal() -> None:
    assert random_splits([]) == []


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_labels_are_read(tmp_path: Path) -> None:
    text = (
        '\ufeffsplit,path,label,note\nTrain,"a, b/ü.mp4",flute,x\n'
        "validation,c.webm,tuba,\ntest,./d/e.avi,flute,\n"
    )
    assert read_labels(write(tmp_path / "labels.csv", text)) == [
        LabelsRow(PurePosixPath("a, b/ü.mp4"), "flute", "train"),
        LabelsRow(PurePosixPath("c.webm"), "tuba", "val"),
        LabelsRow(PurePosixPath("d/e.avi"), "flute", "test"),
    ]


def test_columns_can_be_chosen_or_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.csv", "path,label,split,who,fold\na/x.mp4,one,train,ann,test\n")
    assert read_labels(path, "who", "fold") == [LabelsRow(PurePosixPath("a/x.mp4"), "ann", "test")]
    path = write(tmp_path / "bare.csv", "path\na/x.mp4\nb/deep/y.mp4\n")
    assert [(row.label, row.split) for row in read_labels(path)] == [("a", None), ("b", None)]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("file,label\na/x.mp4,one\n", (), "no column 'path'; there are: file, label"),
        ("path,label\na/x.mp4,one\n", ("speaker",), "no column 'speaker'"),
        ("path,label\na/x.mp4,one\n", (None, "fold"), "no column 'fold'"),
        (
            "path,split\na/x.mp4,train\na/y.mp4,learn\n",
            (),
            "line 3: 'learn' is not a split; choices: train, val, test",
        ),
        ("path,split\na/x.mp4\n", (), "line 2: '' is not a split"),
        ("path,label\n../x.mp4,one\n", (), "line 2: path '../x.mp4'"),
        ("path,label\n/etc/x.mp4,one\n", (), "line 2: path '/etc/x.mp4'"),
        ("path,label\n,one\n", (), "line 2: path ''"),
        ("path\nx.mp4\n", (), "line 2: 'x.mp4' lies in no class folder"),
        ("path,label\n", (), "no rows"),
        ("", (), "no column 'path'; there are: none"),
    ],
)
def test_bad_labels_are_named(
    tmp_path: Path, text: str, columns: tuple[str | None, ...], message: str
) -> None:
    path = write(tmp_path / "labels.csv", text)
    with pytest.raises(UserError) as caught:
        read_labels(path, *columns)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_labels_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such labels file"):
        read_labels(tmp_path / "labels.csv")
    (tmp_path / "latin.csv").write_bytes("path,label\nä/x.mp4,one\n".encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8"):
        read_labels(tmp_path / "latin.csv")


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("train", "train"),
        (" VALID ", "val"),
        ("Validation", "val"),
        ("val", "val"),
        ("test", "test"),
    ],
)
def test_words_for_splits(word: str, split: str) -> None:
    assert parse_split(word, "here") == split
