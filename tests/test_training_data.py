"""Trainings on awkward data and with awkward settings: a result, or one line before any work."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from avrobust.data.layout import Entry, read_list, write_list
from avrobust.errors import UserError
from avrobust.experiments.results import TrainResult
from avrobust.experiments.runs import Run, run_for
from avrobust.experiments.settings import Experiment
from avrobust.tasks.setup import Parts, build_parts
from avrobust.tasks.train import trained
from tests.support import CLASSES, attack, experiment_for, write_prepared

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning",  # Lightning 2.6 on torch 2.11
    "ignore:.*lr_scheduler.step.*:UserWarning",
)


@pytest.fixture
def data(prepared: Path, tmp_path: Path) -> Path:
    """A data set that a test may change."""
    return Path(shutil.copytree(prepared, tmp_path / "data"))


def rewrite(data: Path, split: str, entries: Sequence[Entry]) -> None:
    write_list(data / f"{split}.csv", entries)


def training(data: Path, *more: str) -> tuple[Experiment, Parts]:
    _, *overrides = attack(data, data.parent / "runs", "training.epochs=1", *more)
    experiment = experiment_for("train", *overrides)
    return experiment, build_parts(experiment.model, experiment.execution)


def train(data: Path, *more: str) -> TrainResult:
    result = trained(*training(data, *more)).result()
    assert isinstance(result, TrainResult)
    return result


def refused(data: Path, message: str, *more: str) -> Run:
    """The run of a training that is refused."""
    experiment, parts = training(data, *more)
    with pytest.raises(UserError, match=message) as failure:
        trained(experiment, parts)
    assert "\n" not in str(failure.value)
    run = run_for(experiment, parts.data.fingerprint())
    assert not (run.folder / "result.json").exists()
    assert not run.checkpoint.exists()
    return run


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_a_readable_clip_is_refused_before_training(split: str, data: Path) -> None:
    for entry in read_list(data / f"{split}.csv"):
        entry.audio_path(data).unlink()
    run = refused(data, f"0 of [0-9]+ {split} clips can be read.*; the first, bell/{split} 0: ")
    assert not run.training.exists()


def test_one_training_clip_is_refused_before_training(data: Path) -> None:
    entries = read_list(data / "train.csv")
    rewrite(data, "train", entries[:1])
    with pytest.raises(UserError, match="1 train clip; a training needs at least 2"):
        training(data)
    rewrite(data, "train", entries[:2])
    entries[1].audio_path(data).unlink()
    refused(data, "1 of 2 train clips can be read, a training needs at least 2; the first, drum/")


def test_batches_that_never_have_two_readable_clips_are_refused(data: Path) -> None:
    entries = read_list(data / "train.csv")
    for entry in entries[2:]:
        entry.audio_path(data).unlink()
    # Of 24 clips in batches of 2, the order of the first epoch puts these two apart.
    refused(data, "epoch 1: no batch with two readable clips", "training.batch_size=2")


@pytest.mark.parametrize("defense", ["none", "minsim_exfmem", "pcl"])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_class_may_be_missing_in_a_split(split: str, defense: str, data: Path) -> None:
    entries = read_list(data / f"{split}.csv")
    rewrite(data, split, [entry for entry in entries if entry.label != CLASSES[1]])
    result = train(data, f"defense={defense}")
    assert result.splits[split].n == 2 * len(entries) // 3


def test_a_test_split_of_one_class_has_no_compactness(data: Path) -> None:
    entries = read_list(data / "test.csv")
    rewrite(data, "test", [entry for entry in entries if entry.label == CLASSES[0]])
    assert set(train(data).compactness.values()) == {None}


def test_one_clip_is_enough_to_validate_and_to_test(data: Path) -> None:
    for split in ("val", "test"):
        rewrite(data, split, read_list(data / f"{split}.csv")[:1])
    result = train(data)
    assert (result.splits["val"].n, result.splits["test"].n) == (1, 1)


def test_classes_that_no_list_names_are_learned_of_nothing(data: Path) -> None:
    result = train(data, "dataset.classes=[anvil,bell,drum,horn]")
    assert result.classes == ("anvil", "bell", "drum", "horn")


def test_a_batch_may_be_larger_than_the_training_split(data: Path) -> None:
    assert train(data, "training.batch_size=1000").splits["train"].n == 24


def test_embeddings_that_are_all_equal_have_no_compactness(tmp_path: Path) -> None:
    """Every sound and every picture of the test split is the same."""
    data = tmp_path / "data"
    write_prepared(data, (("train", 6), ("val", 3), ("test", 6)))
    entries = read_list(data / "test.csv")
    sound = entries[0].audio_path(data).read_bytes()
    frame = entries[0].frame_path(data, 1).read_bytes()
    for entry in entries:
        entry.audio_path(data).write_bytes(sound)
        for number in range(1, entry.frames + 1):
            entry.frame_path(data, number).write_bytes(frame)
    assert set(train(data).compactness.values()) == {None}


def test_a_training_that_diverges_says_when_and_leaves_no_result(data: Path) -> None:
    message = r"the training diverged: the training loss is (nan|inf) in epoch [23]; lower"
    rates = [f"training.lr_{part}=1e6" for part in ("audio", "visual", "head")]
    run = refused(data, message, *rates, "training.epochs=5")
    assert (run.folder / "error.txt").read_text().startswith("UserError: the training diverged")
    again = refused(data, message, *rates, "training.epochs=5")  # goes on, and diverges again
    assert again == run
