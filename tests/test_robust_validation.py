"""Adversarially trained models keep the epoch with the highest robust validation accuracy."""

import csv
from pathlib import Path

import pytest
import torch

from avrobust.attacks.pgd import PGD
from avrobust.data.batches import SplitBatches
from avrobust.defenses.adversarial import Adversarial
from avrobust.evaluation.evaluate import evaluate
from avrobust.experiments.result_files import read_result
from avrobust.experiments.results import TrainResult
from avrobust.experiments.runs import Run
from avrobust.tasks.loaded import load_trained
from avrobust.tasks.setup import build_parts
from avrobust.tasks.train import trained
from avrobust.threats import suite
from avrobust.training.module import LitClassifier
from tests.support import NARROW, SHORT, experiment_for

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning",  # Lightning 2.6 on torch 2.11
    "ignore:.*lr_scheduler.step.*:UserWarning",
)
EPS, CLIPS = 0.1, 7
ROBUST = (
    "defense=adversarial_fast",
    f"defense.threat.eps={EPS}",
    f"defense.robust_validation={CLIPS}",
    "training.epochs=6",
    "training.lr_head=0.02",
)


def train(prepared: Path, runs: Path, *more: str) -> Run:
    root = ("dataset=folder", f"dataset.root={prepared}", f"runs={runs}")
    experiment = experiment_for("train", *root, *NARROW, *SHORT, *ROBUST, *more)
    return trained(experiment, build_parts(experiment.model, experiment.execution))


def rows(run: Run) -> list[dict[str, str]]:
    with (run.folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def first_highest(run: Run, column: str) -> int:
    accuracies = [float(row[column]) for row in rows(run)]
    return accuracies.index(max(accuracies)) + 1


def result(run: Run) -> TrainResult:
    result = read_result(run.folder)
    assert isinstance(result, TrainResult)
    return result


def weights(run: Run) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run.checkpoint, weights_only=True)["state_dict"]
    return state


@pytest.fixture(scope="module")
def robust(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(prepared, tmp_path_factory.mktemp("runs"))


def test_the_epoch_with_the_highest_robust_accuracy_is_kept(robust: Run) -> None:
    by_robust, by_clean = (
        first_highest(robust, f"val/{name}") for name in ("robust_accuracy", "accuracy")
    )
    assert by_robust != by_clean, "on these clips the test could not tell the two"
    assert result(robust).best_epoch == by_robust
    assert result(robust).best_by == "robust"


def test_that_accuracy_is_the_one_under_pgd_on_fixed_clips(robust: Run, prepared: Path) -> None:
    root = ("dataset=folder", f"dataset.root={prepared}")
    settings = experiment_for("train", *root, *NARROW, *SHORT, *ROBUST)
    parts = build_parts(settings.model, settings.execution)
    model = load_trained(robust, parts.model)
    batches = SplitBatches(parts.data, "val", batch_size=8, workers=0, count=CLIPS)
    records = evaluate(model, batches, PGD(10, 0.25), suite(EPS))
    right = [record.correct for record in records if record.condition == "audiovisual"]
    best = rows(robust)[result(robust).best_epoch - 1]
    assert len(right) == CLIPS
    assert float(best["val/robust_accuracy"]) == pytest.approx(100 * sum(right) / CLIPS, abs=1e-3)


def test_an_interruption_workers_and_the_batch_size_change_nothing(
    robust: Run, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(module: LitClassifier) -> None:
        if module.current_epoch == 3:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(LitClassifier, "on_train_epoch_start", interrupt)
        with pytest.raises(Interrupted):
            train(prepared, tmp_path)
    resumed = train(prepared, tmp_path, "workers=1", "batch_size=4")
    assert resumed.run_id == robust.run_id
    assert rows(resumed) == rows(robust)
    expected = weights(robust)
    for name, value in weights(resumed).items():
        assert torch.equal(value, expected[name])


def test_clean_accuracy_can_choose_instead(robust: Run, prepared: Path, tmp_path: Path) -> None:
    clean = train(prepared, tmp_path, "defense.robust_validation=0")
    assert clean.run_id != robust.run_id
    assert result(clean).best_by == "clean"
    assert result(clean).best_epoch == first_highest(robust, "val/accuracy")
    assert "val/robust_accuracy" not in rows(clean)[0]
    for one, other in zip(rows(clean), rows(robust), strict=True):
        assert one["train/loss"] == other["train/loss"]  # measuring changes no training


def test_a_negative_number_of_clips_is_refused() -> None:
    with pytest.raises(ValueError, match="robust_validation must be an integer of at least 0"):
        Adversarial(PGD(), suite(0.1), robust_validation=-1)
