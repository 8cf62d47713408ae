"""Every option composes and fits its constructor; every mistake is one line that names it."""

import pytest
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from avrobust.cli.explain import explain
from avrobust.errors import UserError
from avrobust.experiments.build import build
from avrobust.experiments.config import number
from avrobust.experiments.listing import choices
from avrobust.experiments.settings import Task
from tests.support import CONFIGS, experiment_for, options

GROUPS = {
    "train": ("audio", "visual", "fusion", "dataset", "trainer", "logger", "experiment"),
    "attack": (
        "audio",
        "visual",
        "fusion",
        "dataset",
        "trainer",
        "experiment",
        "attack",
        "threat",
        "sweep",
    ),
}
CASES = [
    (task, group, option)
    for task, groups in GROUPS.items()
    for group in groups
    for option in options(group)
]


@pytest.mark.parametrize(("task", "group", "option"), CASES)
def test_every_option_composes(task: Task, group: str, option: str) -> None:
    more = ["dataset.root=somewhere"] if option == "folder" else []
    experiment = experiment_for(task, f"{group}={option}", *more)
    execution = experiment.execution
    chosen = {
        **choices(experiment),
        "experiment": execution.experiment,
        "sweep": execution.sweep,
        "logger": execution.logger.name if execution.logger else "none",
    }
    assert chosen[group] == option


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda p: p.stem)
def test_options_are_short(path: object) -> None:
    lines = path.read_text().splitlines()  # type: ignore[attr-defined]
    assert len([line for line in lines if not line.startswith("#")]) <= 20
    assert lines[0].startswith("#"), "the first line says what the option is"


def message(task: str, *overrides: str) -> str:
    with pytest.raises((UserError, HydraException, OmegaConfBaseException)) as caught:
        experiment_for(task, *overrides)
    return explain(caught.value)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["fusion=gated_conct"],
            "fusion=gated_conct: no such option; choices: attention, audio_only, concat, film,",
        ),
        (
            ["attack.stepz=3"],
            "attack.stepz: no such key; did you mean step? choices: steps, step, random_start",
        ),
        (["+attack.foo=3"], "attack.foo: no such key"),
        (["attack.steps=many"], "attack.steps=many: must be an integer of at least 1"),
        (["training.epoch=3"], "training.epoch: no such key; did you mean epochs?"),
        (["training.epochs=few"], "training.epochs=few: "),
        (["seed=zero"], "seed=zero: "),
        (["eps=abc"], "eps=abc: is not a number"),
        (["eps=-0.1"], "eps=-0.1: must be a finite number of at least 0"),
        (["eps=1/0"], "eps=1/0: is not a number"),
        (["split=dev"], "split=dev: choices: train, val, test"),
        (["target=cello"], "target=cello: choices: least_likely, random, next"),
        (["clips=0"], "clips=0: must be an integer of at least 1 or null"),
        (["workers=-1"], "workers=-1: must be an integer from 0 to 1024"),
        (["dataset=folder"], "dataset.root has no value: give dataset.root=VALUE"),
        (["threat.units=inches"], "threat.units=inches: choices: imagenet, pixel"),
        (["sweep=tabel1"], "sweep=tabel1: no such option; choices: "),
        (["fusions=concat"], "fusions"),
        (["+conditions.x=5"], "conditions.x: not a condition; choose one by +condition@"),
        (["+conditions.x.a=5"], "conditions.x: not a condition; choose one by +condition@"),
        (
            ["visual._target_=avrobust.models.encoders.nowhere.Net"],
            "visual._target_: cannot be set on the command line",
        ),
        (
            ["defense=adversarial", "defense.attack={_target_: avrobust.attacks.fgsm.FGSM}"],
            "defense.attack._target_: cannot be set on the command line",
        ),
        (
            ["+attack.revision=1"],
            "attack.revision: cannot be set on the command line; it stands in the option's YAML",
        ),
        (
            ["defense=minsim_exfmem", "+defense.base={revision: 2}"],
            "defense.base.revision: cannot be set on the command line",
        ),
    ],
)
def test_mistakes_are_named(overrides: list[str], expected: str) -> None:
    found = message("attack", *overrides)
    assert expected in found
    assert "\n" not in found


@pytest.mark.parametrize(
    ("text", "value"), [("8/255", 8 / 255), ("6e-3", 0.006), (0.5, 0.5), (0, 0.0)]
)
def test_eps_is_a_number_or_a_fraction(text: object, value: float) -> None:
    assert number("eps", text) == value


def test_eps_reaches_the_threat_as_a_number() -> None:
    attack = experiment_for("attack", "eps=8/255", "threat=pixel").evaluation
    assert attack.threat.values["eps"] == attack.eps == 8 / 255


def test_a_constructor_that_refuses_is_quoted_with_its_key() -> None:
    alone = experiment_for("attack", "attack.restarts=2").evaluation.attack
    with pytest.raises(UserError, match="attack: restarts must be 1 without random_start, not 2"):
        build("attack", alone)


def test_a_data_set_may_choose_encoders_and_the_user_has_the_last_word() -> None:
    music = experiment_for("train", "dataset=music").model
    assert music.visual.values["weights"] == "imagenet"
    assert experiment_for("train", "dataset=music", "visual=cnn").model.visual.name == "cnn"


PAPER = {
    "music": (11, 100, 36, [30, 60, 90]),
    "kinetics_sounds": (27, 30, 48, [10, 20]),
    "ave": (28, 30, 48, [10, 20]),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_settings(name: str) -> None:
    model = experiment_for("train", f"dataset={name}").model
    data, training = model.dataset.values, model.training
    epochs, batch_size, milestones = training.epochs, training.batch_size, training.milestones
    assert (len(data["classes"]), epochs, batch_size, list(milestones)) == PAPER[name]
    assert (training.lr_audio, training.lr_visual, training.lr_head) == (1e-3, 1e-4, 1e-3)
    assert (training.momentum, training.weight_decay) == (0.9, 1e-4)
    assert (data["image_size"], data["audio_samples"], data["frames"]) == (224, 65_535, 1)
