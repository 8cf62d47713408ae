"""Revisions: an option whose numbers changed gives other runs, and all others stay as they were."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from avrobust.errors import UserError
from avrobust.experiments import config
from avrobust.experiments.build import build
from avrobust.experiments.runs import run_for, training_of
from avrobust.experiments.settings import Experiment
from avrobust.tasks.sibling import undefended_experiment
from tests.support import CONFIGS, experiment_for, experiment_with, option_for


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    """A copy of the configs, to be changed."""
    return Path(shutil.copytree(CONFIGS, tmp_path / "configs"))


def set_revision(configs: Path, option: str, revision: object) -> None:
    path = configs / f"{option}.yaml"
    path.write_text(f"{path.read_text()}revision: {revision}\n")


def run_id(experiment: Experiment) -> str:
    return run_for(experiment, "data").run_id


@pytest.mark.parametrize(
    ("option", "user", "other"),
    [
        ("attack/mim", "attack=mim", "attack=pgd"),
        ("attack/pgd", "defense=adversarial", "defense=minsim"),  # trained against PGD
        ("defense/minsim", "defense=minsim_exfmem", "defense=exfmem"),  # its first stage
        ("defense/solver/admm", "defense=exfmem", "defense=pcl"),
        ("fusion/audio_only", "defense=unimodal_audio", "defense=unimodal_visual"),
        ("visual/cnn", "visual=cnn", "visual=resnet18"),
        ("fusion/sum", "fusion@source.fusion=sum", "fusion@source.fusion=film"),
        ("threat/pixel", "threat=pixel", "threat=paper"),
    ],
)
def test_a_raised_revision_gives_other_runs_to_its_users_alone(
    configs: Path, option: str, user: str, other: str
) -> None:
    attack = () if user.startswith("attack=") else ("attack=fgsm",)
    set_revision(configs, option, 1)
    for override, changes in ((user, True), (other, False)):
        before = experiment_for("attack", *attack, override)
        after = experiment_with(configs, "attack", *attack, override)
        assert (run_id(after) != run_id(before)) == changes, override


def test_a_revision_of_0_is_none(configs: Path) -> None:
    set_revision(configs, "attack/pgd", 0)
    assert run_id(experiment_with(configs, "attack")) == run_id(experiment_for("attack"))


def test_a_revision_reaches_no_constructor_and_is_in_the_result(configs: Path) -> None:
    set_revision(configs, "attack/pgd", 3)
    experiment = experiment_with(configs, "attack", "defense=adversarial", "attack.steps=7")
    build("defense", experiment.model.defense)
    build("attack", experiment.evaluation.attack)
    again = TypeAdapter(Experiment).validate_json(json.dumps(asdict(experiment)))
    assert again.evaluation.attack.revision == 3
    assert again.model.defense.parts["attack"].revision == 3
    assert run_id(again) == run_id(experiment)


@pytest.mark.parametrize("value", ["-1", "one", "1.0", "true", "null"])
def test_a_revision_that_is_no_count_is_refused(configs: Path, value: str) -> None:
    set_revision(configs, "attack/pgd", value)
    with pytest.raises(UserError, match=r"^attack.revision=.*: must be an integer of at least 0$"):
        experiment_with(configs, "attack")


@pytest.mark.parametrize("constant", ["TRAINING_REVISION", "EVALUATION_REVISION"])
def test_what_is_no_option_has_a_revision_as_well(
    constant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TRAINING_REVISION", "EVALUATION_REVISION"):
        monkeypatch.setattr(config, name, 0)
    before = experiment_with(CONFIGS, "attack")
    monkeypatch.setattr(config, constant, 1)
    after = experiment_with(CONFIGS, "attack")
    assert run_id(after) != run_id(before)
    trained = [run_id(training_of(one, one.model)) for one in (before, after)]
    assert (trained[0] != trained[1]) == (constant == "TRAINING_REVISION")
    # A result of older code keeps the revision that it was made with.
    older = json.loads(json.dumps(asdict(before)))
    del older["model"]["training_revision"], older["attack"]["evaluation_revision"]
    assert run_id(TypeAdapter(Experiment).validate_python(older)) == run_id(before)


def test_the_undefended_model_of_a_comparison_is_the_option_none() -> None:
    """`tasks.defend` builds that option itself: it would miss a revision of defense/none.yaml.

    What a plain training does differently belongs to TRAINING_REVISION.
    """
    none = undefended_experiment(experiment_for("defend", "defense=minsim")).model.defense
    assert replace(none, target="") == replace(option_for("defense", "none"), target="")
