"""Finished runs of other code, of other weights or of unknown code are not taken for today's."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avrobust.cli.main import main
from avrobust.errors import UserError
from avrobust.experiments.options import Option
from avrobust.experiments.results import EvaluationResult, Provenance
from avrobust.experiments.runs import Run
from avrobust.experiments.settings import Experiment
from avrobust.experiments.sources import sources, stale
from avrobust.tasks import attack as attack_task
from avrobust.training.checkpoints import write_checkpoint
from avrobust.utils.source_code import OURS
from tests.results import evaluation_result, evaluations, trainings, write
from tests.support import NARROW, SHORT, attack, experiment_for, run_script

FUSION = """from typing import final

from torch import Tensor
from lab.scale import SCALE
from avrobust.models.fusion.base import Fusion
from avrobust.types import Features


@final
class Mine(Fusion):
    def __init__(self, audio_dim: int, visual_dim: int) -> None:
        super().__init__(audio_dim, visual_dim)
        self.out_dim = audio_dim

    def forward(self, features: Features) -> Tensor:
        audio: Tensor = features.audio
        return SCALE * (audio + features.visual)
"""
CONDITION = """from typing import final

from avrobust.attacks.base import Outcome
from avrobust.evaluation.conditions import CleanBatch, Condition


@final
class Muted(Condition):
    name, title, modalities = "muted", "muted", ("audio",)

    def apply(self, batch: CleanBatch) -> Outcome:
        return Outcome(batch.clip._replace(audio=0.0 * batch.clip.audio))
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one's own with a fusion and a condition."""
    folder = tmp_path / "own"
    files = {
        "lab/__init__.py": "",
        "lab/scale.py": "SCALE = 1.0\n",
        "lab/fusion.py": FUSION,
        "lab/muted.py": CONDITION,
        "configs/fusion/mine.yaml": "_target_: lab.fusion.Mine\n_partial_: true\n",
        "configs/condition/muted.yaml": "_target_: lab.muted.Muted\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    return folder


@pytest.mark.slow  # five starts of the script, two trainings
def test_a_finished_row_of_other_code_is_computed_again(
    prepared: Path, tmp_path: Path, lab: Path
) -> None:
    """From a comment, which changes nothing, to a helper that changes every number."""
    runs = tmp_path / "runs"
    command = attack(prepared, runs, "attack=fgsm", "fusion=mine", "training.epochs=1")
    command = (command[0], "--config-dir", str(lab / "configs"), *command[1:])
    muted = "+condition@conditions.muted=muted"

    def run(*more: str) -> tuple[str, str]:
        done = run_script(*command, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    first, _ = run(muted)
    (before,) = evaluations(runs)
    assert {"fusion", "attack", "threat", "conditions.muted"} <= set(before.sources)
    (lab / "lab/fusion.py").write_text(FUSION.replace("SCALE *", "SCALE  *") + "# more\n")
    again, said = run(muted)
    assert (again, "changed" in said) == (first, False)

    # The condition alone: the model is not trained again.
    (lab / "lab/muted.py").write_text(CONDITION.replace("0.0 *", "0.5 *"))
    _, said = run(muted)
    path = lab / "lab/muted.py"
    reason = f"conditions.muted=muted: its code ({path}) has changed since {before.run_id} was"
    assert reason in said
    assert "fusion=mine" not in said
    (after,) = evaluations(runs)
    assert after.weights == before.weights
    assert after.sources["fusion"] == before.sources["fusion"]

    # A helper of the fusion: shown on request, with a mark; else trained and attacked again.
    (lab / "lab/scale.py").write_text("SCALE = 0.0\n")
    shown, said = run(muted, "stale=show")
    assert "* other code: fusion" in shown
    assert evaluations(runs) == [after]
    last, said = run(muted)
    assert said.count("fusion=mine: its code") == 2  # of the attack and of the training
    assert "* other code" not in last
    (zero,) = evaluations(runs)
    assert zero.weights != after.weights
    # A model that sees nothing says the same of every clip.
    assert set(zero.accuracy.values()) == {zero.clean.accuracy.percent}
    assert run(muted) == (last, "")


def fgsm(prepared: Path, runs: Path, *more: str) -> Experiment:
    base = (f"runs={runs}", "dataset=folder", f"dataset.root={prepared}", "attack=fgsm")
    return experiment_for("attack", *base, *NARROW, *SHORT, *more)


@pytest.fixture
def runs(attacked: Path, tmp_path: Path) -> Path:
    """A copy of a model and of FGSM on it, to be changed."""
    return Path(shutil.copytree(attacked, tmp_path / "runs"))


def folder_of_training(runs: Path) -> Path:
    (folder,) = (runs / "train").iterdir()
    return folder


def test_an_attack_on_a_model_that_was_trained_again_is_made_again(
    prepared: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (before,) = evaluations(runs)
    (training,) = trainings(runs)
    assert before.weights == training.weights
    checkpoint = folder_of_training(runs) / "checkpoint.ckpt"
    state = torch.load(checkpoint, weights_only=True)
    state["state_dict"]["head.bias"] += torch.tensor([9.0, 0.0, 0.0])
    torch.save(state, checkpoint)

    # Exchanged by hand: refused where it is loaded.
    with pytest.raises(UserError, match=r"checkpoint.ckpt: not the file that the training wrote"):
        attack_task.main(fgsm(prepared, runs, "eps=0.2"))

    # Written by another training: whatever rests on the old one is stale.
    other = {training.run_id: "0123456789abcdef"}
    run = Run("train", training.run_id, folder_of_training(runs))
    run.write_result(replace(training, weights=other))
    (result,) = [one for one in evaluations(runs) if one.run_id == before.run_id]
    staleness = stale(result, result.experiment, runs)
    assert staleness is not None
    assert staleness.mark == "other weights"
    assert staleness.reason.startswith(f"the model {training.run_id} was trained again since")
    shutil.rmtree(run.folder)  # nothing to compare with: the number stands
    assert stale(result, result.experiment, runs) is None


def changed(result: EvaluationResult, **fingerprints: str) -> EvaluationResult:
    """The result as code with other fingerprints would have left it."""
    return replace(result, sources={**sources(result.experiment), **fingerprints})


def with_version(result: EvaluationResult, version: str) -> EvaluationResult:
    return replace(result, provenance=Provenance({OURS: version}, None))


def of_today(result: EvaluationResult) -> EvaluationResult:
    from importlib.metadata import version

    return with_version(result, version(OURS))


def mark(result: EvaluationResult, experiment: Experiment | None = None) -> str:
    staleness = stale(result, experiment or result.experiment, Path("nowhere"))
    return staleness.mark if staleness else ""


def test_code_of_this_package_counts_within_one_version() -> None:
    """From version to version its revisions tell, so that an upgrade orphans no run."""
    result = evaluation_result(experiment_for("attack"), (90, 50, 40, 10))
    assert mark(of_today(changed(result))) == ""
    assert mark(of_today(changed(result, attack="0"))) == "other code: attack"
    assert mark(with_version(changed(result, attack="0"), "0.1.0")) == ""
    # A result of a version that kept no fingerprints has the revisions in its identity.
    assert mark(of_today(result)) == ""


def own_option(option: Option) -> Option:
    """The option with a class of another project, which is named in a list of nodes."""
    return replace(option, target="tests.tiny.trained", values={})


def test_code_of_a_project_counts_from_version_to_version_and_has_to_be_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    plain = experiment_for("attack")
    model = replace(plain.model, fusion=own_option(plain.model.fusion))
    result = evaluation_result(plain, (90, 50, 40, 10))
    own = replace(result, experiment=plain.with_model(model))
    assert mark(with_version(changed(own), "0.1.0")) == ""
    assert mark(with_version(changed(own, fusion="0"), "0.1.0")) == "other code: fusion"
    assert mark(of_today(own)) == "unknown code: fusion"
    # The option now names another class, under the same name and in the same run folder.
    assert mark(changed(result), plain.with_model(model)) == "other code: fusion"
    # Code that is not there cannot be compared: `avrobust report` without the project.
    gone = replace(model, fusion=replace(model.fusion, target="nowhere.Mine"))
    assert mark(changed(own, fusion="0"), plain.with_model(gone)) == ""


@pytest.mark.parametrize(
    ("overrides", "paths"),
    [
        (("defense=adversarial",), {"defense", "defense.attack"}),
        (("defense=minsim_exfmem",), {"defense", "defense.base", "defense.solver"}),
        (("defense=unimodal_audio",), {"defense.fusion"}),
        (("fusion@source.fusion=sum",), {"source.fusion", "source.audio", "fusion"}),
    ],
)
def test_options_within_options_have_fingerprints(
    overrides: tuple[str, ...], paths: set[str]
) -> None:
    recorded = sources(experiment_for("attack", *overrides))
    assert paths <= set(recorded)
    # Libraries have versions, and data has its content.
    assert not {"trainer", "dataset", "source.trainer"} & set(recorded)


def test_options_in_lists_have_fingerprints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    plain = experiment_for("attack")
    members = [{"_target_": "tests.tiny.trained"}, {"inner": {"_target_": "tests.fakes.Fake"}}]
    attack_option = plain.evaluation.attack.with_values(members=members)
    experiment = replace(plain, attack=replace(plain.evaluation, attack=attack_option))
    assert {"attack.members.0", "attack.members.1.inner"} <= set(sources(experiment))


def stale_copy(runs: Path) -> EvaluationResult:
    """The one result in a folder, as if another FGSM had made it."""
    (result,) = evaluations(runs)
    return write(runs, changed(result, attack="0123456789abcdef"))


def test_the_report_marks_what_other_code_computed(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale_copy(runs)
    assert main(["report", "--runs", str(runs)]) == 0
    printed = capsys.readouterr().out
    assert "other code: attack" in printed
    assert "code or weights have changed since the run was computed" in printed
    page = (runs / "report" / "index.html").read_text()
    assert "other code or weights</em>" in page
    assert "* other code: attack: attack=fgsm: its code (" in page
    assert ",other code: attack," in (runs / "report" / "results.csv").read_text()


def test_an_analysis_of_other_code_is_refused(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = stale_copy(runs)
    assert main(["surface", str(runs / "attack" / result.run_id)]) == 2
    error = capsys.readouterr().err
    assert f"has changed since {result.run_id} was computed; run its command again" in error
    assert error.count("\n") == 1


def test_a_row_that_a_second_process_has_renewed_is_not_computed_twice(
    prepared: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale_copy(runs)
    renewed = attack_task.main(fgsm(prepared, runs))
    said = capsys.readouterr().err
    assert said.count("attack=fgsm: its code (") == 1
    assert attack_task.main(fgsm(prepared, runs)) == renewed
    assert capsys.readouterr().err == ""


def test_epochs_of_other_code_are_not_gone_on_from(
    prepared: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A training is interrupted, its code is changed, and the same command is given again."""
    folder = folder_of_training(runs)
    (training,) = trainings(runs)
    before = (folder / "metrics.csv").read_text()

    def interrupted(sources: Mapping[str, str]) -> str:
        (folder / "result.json").unlink(missing_ok=True)
        (folder / "training").mkdir()
        origin = {"run_id": training.run_id, "sources": dict(sources), "weights": {}}
        write_checkpoint({"origin": origin}, folder / "training" / "last.ckpt")
        attack_task.main(fgsm(prepared, runs, "eps=0.3"))
        return capsys.readouterr().err

    said = interrupted({**training.sources, "fusion": "0"})
    assert (
        f"{training.run_id}/training: last.ckpt (its code or the stage before has changed" in said
    )
    assert "set aside, the training starts again" in said
    assert (folder / "metrics.csv").read_text() == before
    assert trainings(runs)[0].weights == training.weights
