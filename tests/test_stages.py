"""Training in stages: each starts from the shared run of the stage before; none is repeated."""

import signal
import time
from pathlib import Path

import pytest
import torch

from avrobust.experiments.results import TrainResult
from avrobust.experiments.runs import Run, run_for, training_run
from avrobust.experiments.settings import Task
from avrobust.tasks.loaded import load_trained
from avrobust.tasks.setup import build_parts
from avrobust.tasks.train import trained
from tests.results import trainings
from tests.support import experiment_for, run_script, start_script
from tests.test_training import overrides as five_epochs

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning",  # Lightning 2.6 on torch 2.11
    "ignore:.*lr_scheduler.step.*:UserWarning",
)


def overrides(prepared: Path, runs: Path, *more: str) -> list[str]:
    return five_epochs(prepared, runs, "training.epochs=3", *more)


def identity(*overrides: str, task: Task = "train") -> str:
    return run_for(experiment_for(task, *overrides), "data").run_id


def before(*overrides: str) -> str | None:
    experiment = experiment_for("train", *overrides)
    earlier = experiment.model.stage_before()
    return earlier and training_run(experiment, earlier, "data").run_id


def test_the_stage_before_is_the_run_that_others_have_too() -> None:
    assert before("defense=exfmem") == before("defense=pcl") == identity("defense=none")
    assert before("defense=minsim_exfmem") == identity("defense=minsim")
    assert before("defense=minsim_exfmem", "defense@defense.base=pcl") == identity("defense=pcl")
    assert before("defense=minsim") is None


def test_a_defense_of_one_stage_trains_twice_to_match() -> None:
    assert before("defense=minsim", "defense.match_epochs=true") == identity("defense=minsim")
    assert identity("defense=minsim", "defense.match_epochs=true") != identity("defense=minsim")


def test_a_defense_of_two_stages_trains_no_longer_to_match_but_is_compared_with_another() -> None:
    match = "defense.match_epochs=true"
    assert identity("defense=exfmem", match) == identity("defense=exfmem")
    assert identity("defense=exfmem", match, task="defend") != identity(
        "defense=exfmem", task="defend"
    )


@pytest.fixture(scope="module")
def runs(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of a feature memory whose second stage was killed after an epoch and then went on."""
    runs = tmp_path_factory.mktemp("runs")
    command = ["train.py", *overrides(prepared, runs, "defense=exfmem")]
    process = start_script(*command)
    deadline = time.monotonic() + 200
    while not any(
        path.read_text().count("\n") >= 2 for path in runs.glob("train/*-exfmem-*/metrics.csv")
    ):
        assert process.poll() is None, "finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert defenses(runs) == ["none"]
    first = next(runs.glob("train/*/checkpoint.ckpt")).stat().st_mtime_ns
    done = run_script(*command)
    assert done.returncode == 0, done.stderr
    assert next(runs.glob(f"train/{stage_one(runs)}/checkpoint.ckpt")).stat().st_mtime_ns == first
    return runs


def defenses(runs: Path) -> list[str]:
    """The defenses of the finished trainings, in order of the alphabet."""
    return sorted(training.experiment.model.defense.name for training in trainings(runs))


def second(runs: Path) -> TrainResult:
    (training,) = (training for training in trainings(runs) if training.stage_before)
    return training


def stage_one(runs: Path) -> str:
    return str(second(runs).stage_before)


def test_epochs_are_counted_over_all_stages(runs: Path) -> None:
    assert second(runs).epochs == 6
    (first,) = (training for training in trainings(runs) if not training.stage_before)
    assert first.run_id == stage_one(runs)
    assert first.epochs == 3


def test_a_killed_stage_ends_as_an_unbroken_one(runs: Path, prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / stage_one(runs)).symlink_to(runs / "train" / stage_one(runs))
    experiment = experiment_for("train", *overrides(prepared, tmp_path, "defense=exfmem"))
    again = trained(experiment, build_parts(experiment.model, experiment.execution))
    ours, theirs = (weights(folder) for folder in (again.folder, runs / "train" / again.run_id))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoint.ckpt", weights_only=True)["state_dict"]


def test_the_banks_are_the_features_of_stage_one(runs: Path, prepared: Path) -> None:
    state = weights(runs / "train" / second(runs).run_id)
    experiment = experiment_for("train", *overrides(prepared, runs))
    parts = build_parts(experiment.model, experiment.execution)
    model = load_trained(
        Run("train", stage_one(runs), runs / "train" / stage_one(runs)), parts.model
    ).eval()
    clips = parts.data.clips("train")
    atoms = state["restorers.audio.atoms"]
    assert atoms.shape[1] == len(clips) == 24
    with torch.no_grad():
        own = torch.cat(
            [model.encode_audio(clips[0, i].clip.audio.unsqueeze(0)) for i in range(len(clips))]
        )
    nearest = torch.cdist(own, atoms.T)
    assert (nearest.amin(1) < 1e-3).all()


def test_defend_states_what_each_model_was_trained_for(runs: Path, prepared: Path) -> None:
    match = "defense.match_epochs=true"
    for more, expected in (((), "6 epochs against its 3"), ((match,), "6 epochs against its 6")):
        command = ["defend.py", *overrides(prepared, runs, "defense=exfmem", "attack=fgsm", *more)]
        done = run_script(*command)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
    assert defenses(runs) == ["exfmem", "none", "none"]
