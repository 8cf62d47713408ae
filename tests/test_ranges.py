"""Numbers that make no sense, in configs, on command lines and in Python."""

import subprocess
import sys
from pathlib import Path
from typing import Literal, final

import numpy as np
import pytest
import torch

import avrobust as avr
from avrobust.attacks.base import Attack
from avrobust.attacks.problem import Problem
from avrobust.cli.main import main
from avrobust.errors import UserError
from avrobust.experiments.build import check_option
from avrobust.experiments.options import Option
from avrobust.models.encoders.cnn import CNN
from avrobust.training.recipe import Recipe
from avrobust.types import Clip
from avrobust.utils.arguments import checks_arguments
from tests.support import PROJECT, experiment_for, run_script

FINITE = "must be a finite number of at least 0"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ("attack=mim attack.decay=nan", f"attack.decay=nan: {FINITE}"),
        ("attack=tma attack.misalignment=nan", f"attack.misalignment=nan: {FINITE}"),
        ("attack.steps=true", "attack.steps=True: must be an integer of at least 1"),
        ("attack.random_start=no", "attack.random_start=no: must be true or false"),
        ("defense=minsim defense.weight=nan", f"defense.weight=nan: {FINITE}"),
        ("defense=minsim defense.weight=-1", f"defense.weight=-1: {FINITE}"),
        ("defense=trades defense.beta=-1", f"defense.beta=-1: {FINITE}"),
        ("defense=minsim_exfmem defense.base.weight=inf", f"defense.base.weight=inf: {FINITE}"),
        ("defense=exfmem defense.solver.gap=0", "gap=0: must be a number above 0 and at most 1"),
        ("defense=adversarial defense.attack.step=nan", "defense.attack.step=nan: must be a"),
        ("defense=adversarial defense.threat.eps=-1", f"defense.threat.eps=-1: {FINITE}"),
        ("dataset.stride=0", "dataset.stride=0: must be an integer of at least 1"),
        ("audio.widths=[]", "audio.widths=[]: must be a list, each an integer of at least 1, not"),
        ("visual.layers=[1,1]", "visual.layers=[1, 1]: must be a list of 4, each an integer"),
        ("training.milestones=[3,1]", "training.milestones=[3, 1]: must be a list, each an"),
        ("training.milestones=[0]", "training.milestones=[0]: must be a list, each an integer"),
        ("training.momentum=1", "training.momentum=1.0: must be a number of at least 0 and below"),
        ("training.lr_head=nan", f"training.lr_head=nan: {FINITE}"),
        ("training.batch_size=1", "training.batch_size=1: must be an integer of at least 2"),
        ("examples=-1", "examples=-1: must be an integer of at least 0"),
        ("jobs_per_gpu=0", "jobs_per_gpu=0: must be an integer of at least 1"),
        ("seed=-1", "seed=-1: must be an integer from 0 to 4294967295"),
        ("source.seed=-1", "source.seed=-1: must be an integer from 0 to 4294967295"),
        ("eps=nan", f"eps=nan: {FINITE}"),
        ("eps=1e30", "eps=1e+30: must be at most 1e9"),
        ("threat=snr threat.snr=nan", "threat.snr=nan: must be a number from -200 to 200"),
        ("trainer.limit_train_batches=nan", "trainer.limit_train_batches=nan: choices: a share"),
    ],
)
def test_a_config_is_refused_in_one_line(overrides: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        experiment_for("attack", *overrides.split())
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        "defense=minsim defense.weight=1000",
        "attack.step=1",  # a whole number is a number
        "attack=mim attack.decay=0",
        "threat=snr threat.snr=-20",
        "training.milestones=[]",
        "training.lr_audio=0",
        "seed=4294967295",
    ],
)
def test_unusual_settings_are_taken(overrides: str) -> None:
    experiment_for("attack", *overrides.split())


@pytest.mark.parametrize(
    "command",
    [
        ("attack.py", "attack=mim", "attack.decay=nan"),
        ("train.py", "defense=trades", "defense.beta=-1"),
    ],
    ids=["attack", "train"],
)
def test_a_script_ends_with_status_2_and_leaves_no_folder(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = run_script(*command, "runs=runs", f"dataset.root={tmp_path / 'data'}", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert FINITE in done.stderr
    assert not list(tmp_path.glob("data*"))
    assert not list(tmp_path.glob("runs/[!.]*"))  # Hydra itself makes runs/.hydra


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--workers", "0"), "--workers must be an integer from 1 to 1024 or null, not 0"),
        (("--short-side", "-1"), "--short-side must be an integer of at least 1, not -1"),
        (("--seed", "-1"), "--seed must be an integer from 0 to 4294967295, not -1"),
    ],
)
def test_prepare_refuses_a_number_in_one_line(
    tmp_path: Path,
    arguments: tuple[str, str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["prepare", str(tmp_path), str(tmp_path / "root"), *arguments]) == 2
    assert capsys.readouterr().err == f"avrobust: {expected} (see avrobust prepare --help)\n"
    assert not list(tmp_path.iterdir())


def test_python_users_get_the_same_check() -> None:
    rule = r"^step must be a finite number of at least 1e-06, not nan$"
    with pytest.raises(ValueError, match=rule):
        avr.PGD(step=float("nan"))
    with pytest.raises(ValueError, match=r"^eps must be a finite number of at least 0, not -0.1$"):
        avr.suite(-0.1)
    with pytest.raises(ValueError, match=r"^units must be one of imagenet, pixel, not 'inch'$"):
        avr.suite(0.1, units="inch")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^milestones must be a list.*increasing, not \(3, 1\)$"):
        Recipe(milestones=(3, 1))
    with pytest.raises(TypeError, match="unexpected keyword argument 'stepz'"):
        avr.PGD(stepz=3)  # type: ignore[call-arg]


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    attack = avr.PGD(steps=np.int64(3), step=np.float32(0.5))  # type: ignore[arg-type]
    assert (attack.steps, attack.step) == (3, 0.5)
    avr.suite(torch.tensor(0.01))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="step must be"):
        avr.PGD(step=np.float32("nan"))  # type: ignore[arg-type]


def test_a_list_does_for_a_tuple() -> None:
    assert CNN([8, 16]).dim == 16  # type: ignore[arg-type]


@final
class Own(Attack):
    """An attack of another project, with types that declare no range."""

    def __init__(
        self,
        steps: int = 1,
        step: float = 0.5,
        label: str = "",
        kind: Literal["a", "b"] = "a",
        weights: dict[str, float] | None = None,
        unknown: "Unknown | None" = None,  # type: ignore[name-defined] # noqa: F821
        **more: int,
    ) -> None:
        self.steps, self.step = steps, step

    def perturb(self, problem: Problem) -> Clip:
        return problem.clip


@pytest.mark.parametrize(
    "values",
    [
        {"step": float("nan")},
        {"step": float("inf")},
        {"step": "0.5"},
        {"steps": 1.5},
        {"steps": True},
        {"kind": "c"},
        {"weights": {"a": float("nan")}},
    ],
    ids=str,
)
def test_options_of_other_projects_take_finite_numbers_alone(values: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"^attack\..*: "):
        check_option("attack", Option("own", f"{__name__}.Own", values))
    with pytest.raises(ValueError, match=f"^{next(iter(values))} "):
        Own(**values)  # type: ignore[arg-type]
    Own(steps=-1, label=3, more=1)  # type: ignore[arg-type] # no ranges; texts are not checked


def test_help_needs_no_pydantic() -> None:
    # Importing the script makes the default settings, which have nothing to check.
    code = "import sys, attack; print('pydantic' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_function_keeps_its_name_and_its_messages() -> None:
    @checks_arguments
    def double(number: int) -> int:
        """Twice the number."""
        return 2 * number

    assert (double(3), double.__doc__) == (6, "Twice the number.")
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'number'"):
        double()  # type: ignore[call-arg]
