"""Training as users run it: the same numbers twice, and after a kill."""

import csv
import re
import signal
import time
from pathlib import Path

import pytest
import torch

from avrobust.experiments.result_files import read_result
from avrobust.experiments.results import TrainResult
from avrobust.experiments.runs import Run
from avrobust.tasks.loaded import load_trained
from avrobust.tasks.setup import build_parts
from avrobust.tasks.train import trained
from tests.support import experiment_for, run_script, start_script

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning",  # Lightning 2.6 on torch 2.11
    "ignore:.*lr_scheduler.step.*:UserWarning",
)


def overrides(prepared: Path, runs: Path, *more: str) -> list[str]:
    narrow = ["audio.widths=[8,8,8,16]", "visual.widths=[8,8,8,16]", "dataset.audio_samples=4096"]
    short = [
        "training.epochs=5",
        "training.milestones=[2]",
        "training.batch_size=8",
        "dataset.image_size=32",
    ]
    return [
        "dataset=folder",
        f"dataset.root={prepared}",
        f"runs={runs}",
        "trainer=cpu",
        *narrow,
        *short,
        *more,
    ]


def train(prepared: Path, runs: Path, *more: str) -> Run:
    """Trains in this process."""
    experiment = experiment_for("train", *overrides(prepared, runs, *more))
    return trained(experiment, build_parts(experiment.model, experiment.execution))


def result(folder: Path) -> TrainResult:
    """The result of a finished training."""
    result = read_result(folder)
    assert isinstance(result, TrainResult)
    return result


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoint.ckpt", weights_only=True)["state_dict"]


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one whole run."""
    runs = tmp_path_factory.mktemp("runs")
    done = run_script("train.py", *overrides(prepared, runs))
    assert done.returncode == 0, done.stderr
    (folder,) = (runs / "train").iterdir()
    return folder


def test_the_files_of_a_run(finished: Path) -> None:
    names = {path.name for path in finished.iterdir() if not path.name.startswith(".")}
    assert names == {"config.yaml", "result.json", "metrics.csv", "checkpoint.ckpt"}


def test_the_result(finished: Path) -> None:
    training = result(finished)
    assert training.run_id == finished.name
    clips = {name: split.n for name, split in training.splits.items()}
    assert clips == {"train": 24, "val": 9, "test": 9}
    assert all(0 <= split.accuracy <= 100 for split in training.splits.values())
    parameters = [value for name, value in weights(finished).items() if is_parameter(name)]
    assert training.parameters == sum(parameter.numel() for parameter in parameters)
    assert training.provenance.versions["torch"].startswith("2.11")
    assert training.skipped == ()


def is_parameter(name: str) -> bool:
    return not name.endswith(("running_mean", "running_var", "num_batches_tracked"))


def test_metrics_have_a_row_an_epoch(finished: Path) -> None:
    with (finished / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2, 3, 4]
    assert all(
        float(row[name]) >= 0
        for row in rows
        for name in ("train/loss", "val/loss", "train/accuracy")
    )


def test_the_best_epoch_is_kept(finished: Path) -> None:
    with (finished / "metrics.csv").open() as file:
        accuracies = [float(row["val/accuracy"]) for row in csv.DictReader(file)]
    training = result(finished)
    assert training.best_epoch == accuracies.index(max(accuracies)) + 1
    assert training.splits["val"].accuracy == pytest.approx(max(accuracies), abs=1e-3)


def test_a_finished_run_is_not_done_again(finished: Path, prepared: Path) -> None:
    before = (finished / "checkpoint.ckpt").stat().st_mtime_ns
    done = run_script("train.py", *overrides(prepared, finished.parents[1]))
    assert done.returncode == 0
    assert finished.name in done.stdout
    assert (finished / "checkpoint.ckpt").stat().st_mtime_ns == before


def test_the_same_seed_gives_the_same_numbers(
    finished: Path, prepared: Path, tmp_path: Path
) -> None:
    again = train(prepared, tmp_path, "workers=1")
    assert again.run_id == finished.name
    assert equal(weights(again.folder), weights(finished))
    assert (again.folder / "metrics.csv").read_text() == (finished / "metrics.csv").read_text()


def test_another_seed_gives_others(prepared: Path, tmp_path: Path) -> None:
    one = train(prepared, tmp_path, "seed=1", "training.epochs=1")
    other = train(prepared, tmp_path, "seed=2", "training.epochs=1")
    assert not equal(weights(one.folder), weights(other.folder))


def test_a_killed_run_goes_on_to_the_same_result(
    finished: Path, prepared: Path, tmp_path: Path
) -> None:
    process = start_script("train.py", *overrides(prepared, tmp_path))
    metrics = tmp_path / "train" / finished.name / "metrics.csv"
    deadline = time.monotonic() + 200
    # A header and two whole epochs: validation is written first, the mean over training after it.
    while not (
        metrics.is_file() and len(re.findall(r"(?m)^\d+,\d.*,\d.*\n", metrics.read_text())) >= 2
    ):
        assert process.poll() is None, "finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (metrics.parent / "result.json").exists()

    done = run_script("train.py", *overrides(prepared, tmp_path))
    assert done.returncode == 0, done.stderr
    assert equal(weights(metrics.parent), weights(finished))
    assert metrics.read_text() == (finished / "metrics.csv").read_text()
    assert not (metrics.parent / "training").exists()


def test_a_model_comes_back_from_its_checkpoint(finished: Path, prepared: Path) -> None:
    experiment = experiment_for("train", *overrides(prepared, finished.parents[1]))
    parts = build_parts(experiment.model, experiment.execution)
    model = load_trained(trained(experiment, parts), parts.model)
    assert equal(model.state_dict(), weights(finished))
