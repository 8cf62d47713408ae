"""What a run folder or a config file from a stranger may name, and what is built of it."""

import functools
import importlib
import operator
import os
import pickle
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import avrobust
from avrobust.cli.allowed import typed_packages
from avrobust.cli.main import main
from avrobust.cli.own_options import own_folder
from avrobust.errors import UserError
from avrobust.experiments.build import build, check_option
from avrobust.experiments.options import Node, Option
from avrobust.experiments.result_files import write_result
from avrobust.experiments.results import EvaluationResult
from avrobust.experiments.settings import AttackSettings, ModelSettings
from avrobust.experiments.targets import ALLOW, KINDS, kind_of, locate
from avrobust.utils.json_files import read_json
from tests.results import put
from tests.support import option_for, run_script

STRANGER = "stranger_of_tests"  # a package that says when it is imported


class Trap:
    """What must not happen: a file, made by whatever runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.canary = folder, folder / "canary"
        package = folder / STRANGER
        package.mkdir()
        touch = f"from pathlib import Path\nPath({str(self.canary)!r}).touch()\n"
        (package / "__init__.py").write_text(
            touch + "class Attack: ...\ndef run(**_) -> Attack: ...\n"
        )
        self.pickled = folder / "pickled"
        self.pickled.write_bytes(pickle.dumps(_Touch(self.canary)))

    @property
    def sprung(self) -> bool:
        return self.canary.exists() or STRANGER in sys.modules


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trap:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, STRANGER, raising=False)
    return Trap(tmp_path)


Values = Callable[[Trap], Node]
TARGETS: dict[str, Values] = {
    f"{STRANGER}.run": lambda trap: {},
    "os.system": lambda trap: {"command": f"touch '{trap.canary}'"},
    "subprocess.run": lambda trap: {"args": ["touch", str(trap.canary)]},
    "torch.utils.collect_env.run": lambda trap: {"command": ["touch", str(trap.canary)]},
    "pandas.read_pickle": lambda trap: {"filepath_or_buffer": str(trap.pickled)},
    "joblib.load": lambda trap: {"filename": str(trap.pickled)},
    "torch.load": lambda trap: {"f": str(trap.pickled), "weights_only": False},
    "builtins.eval": lambda trap: {"_args_": [f"open({str(trap.canary)!r}, 'w')"]},
    "hydra.utils.get_method": lambda trap: {"path": f"{STRANGER}.run"},
    "pytorch_lightning.loggers.csv_logs.os.makedirs": lambda trap: {"name": str(trap.canary)},
    # Reached through a package that is allowed, or defined in it and yet no option.
    "avrobust.utils.files.os.system": lambda trap: {"command": f"touch '{trap.canary}'"},
    "avrobust.utils.files.Path.touch": lambda trap: {"_args_": [str(trap.canary)]},
    "avrobust.experiments.runs.subprocess.run": lambda trap: {"args": ["touch", str(trap.canary)]},
    "avrobust.data.layout.write_list": lambda trap: {"path": str(trap.canary), "entries": []},
    "avrobust.synthetic.dataset.synthetic": lambda trap: {"root": str(trap.canary)},
    "avrobust.cli.main.main": lambda trap: {"arguments": ["report", "--runs", str(trap.folder)]},
}


def hostile(trap: Trap, change: Callable[[EvaluationResult], EvaluationResult]) -> Path:
    """The folder of a finished run whose result.json was changed."""
    result = put(trap.folder / "runs", (90, 50, 40, 10), "attack=mim")
    folder = trap.folder / "runs" / "attack" / result.run_id
    write_result(folder, change(result))
    return folder


def with_attack(attack: Option) -> Callable[[EvaluationResult], EvaluationResult]:
    return lambda result: with_settings(result, replace(result.settings, attack=attack))


def with_settings(result: EvaluationResult, settings: AttackSettings) -> EvaluationResult:
    return replace(result, experiment=replace(result.experiment, attack=settings))


def with_model(result: EvaluationResult, model: ModelSettings) -> EvaluationResult:
    return replace(result, experiment=replace(result.experiment, model=model))


def refused(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main([command, str(folder)]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


@pytest.mark.parametrize("target", TARGETS)
def test_a_run_names_only_options(
    target: str, trap: Trap, capsys: pytest.CaptureFixture[str]
) -> None:
    attack = Option("mim", target, TARGETS[target](trap))
    line = refused("surface", hostile(trap, with_attack(attack)), capsys)
    assert f"attack._target_={target}: " in line
    assert not trap.sprung


PLACES: dict[str, Callable[[EvaluationResult, Node], EvaluationResult]] = {
    "attack.decay": lambda result, node: with_settings(result, _attack_with(result, decay=node)),
    "attack.decay.0.a.0": lambda result, node: with_settings(
        result, _attack_with(result, decay=[{"a": [node]}])
    ),
    "threat.norm": lambda result, node: with_settings(
        result,
        replace(result.settings, threat=result.settings.threat.with_values(norm=node)),
    ),
    "conditions.x": lambda result, node: with_settings(
        result, replace(result.settings, conditions={"x": _option(node)})
    ),
    "source.audio": lambda result, node: with_settings(
        result,
        replace(
            result.settings, source=replace(result.experiment.model, audio=_option(node), seed=9)
        ),
    ),
    "defense.base": lambda result, node: with_model(
        result,
        replace(
            result.experiment.model,
            defense=replace(result.experiment.model.defense, parts={"base": _option(node)}),
        ),
    ),
    "trainer.callbacks.0": lambda result, node: with_model(
        result,
        replace(
            result.experiment.model,
            trainer=result.experiment.model.trainer.with_values(callbacks=[node]),
        ),
    ),
    "logger.writer": lambda result, node: replace(
        result,
        experiment=replace(
            result.experiment,
            execution=replace(
                result.experiment.execution,
                logger=Option("x", "avrobust.tracking.loggers.InFolder", {"writer": node}),
            ),
        ),
    ),
}


def _attack_with(result: EvaluationResult, **values: object) -> AttackSettings:
    return replace(result.settings, attack=result.settings.attack.with_values(**values))


def _option(node: Node) -> Option:
    values = {key: value for key, value in node.items() if key != "_target_"}
    return Option("x", node["_target_"], values)


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_built_anywhere_in_a_run(
    place: str, trap: Trap, capsys: pytest.CaptureFixture[str]
) -> None:
    node = {"_target_": f"{STRANGER}.run"}
    folder = hostile(trap, lambda result: PLACES[place](result, node))
    line = refused("embeddings", folder, capsys)
    assert f"{place}._target_={STRANGER}.run: the package {STRANGER} is not allowed" in line
    assert f"if you trust it: {ALLOW}={STRANGER}" in line
    assert not trap.sprung


def test_a_package_that_the_user_allows_is_imported(
    trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="is not allowed"):
        locate("attack", f"{STRANGER}.run")
    monkeypatch.setenv(ALLOW, f"other, {STRANGER}")
    assert locate("part", f"{STRANGER}.run").__name__ == "run"
    with pytest.raises(UserError, match="is no Attack"):
        locate("attack", f"{STRANGER}.run", kind_of("attack"))
    with pytest.raises(UserError, match=f"{STRANGER}2 is not allowed"):
        locate("attack", f"{STRANGER}2.run")


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("audio", "avrobust.synthetic.dataset.synthetic"),  # would write a data set
        ("attack", "avrobust.models.fusion.concat.Concat"),
        ("logger", "pytorch_lightning.Trainer"),
        ("threat", "avrobust.threats.audio_budget"),
    ],
)
def test_an_option_of_another_kind_is_refused(place: str, target: str) -> None:
    with pytest.raises(UserError, match=f"{place}._target_={target}: is no "):
        locate(place, target, kind_of(place))


def test_a_part_is_of_the_type_of_its_parameter() -> None:
    defense = option_for("defense", "minsim_exfmem")
    check_option("defense", defense)
    parts = {**defense.parts, "solver": option_for("attack", "fgsm")}
    with pytest.raises(UserError, match=r"defense\.solver\._target_=.*FGSM: is no Solver"):
        build("defense", replace(defense, parts=parts))


def test_of_our_functions_only_the_two_factories_are_options() -> None:
    buildable = set()
    any_kind = functools.reduce(operator.or_, map(kind_of, KINDS))  # as one type: Attack | ...
    for module in pkgutil.walk_packages(avrobust.__path__, "avrobust."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, FunctionType) and value.__module__ == module.name:
                if _may_be_built(f"{module.name}.{name}", any_kind):
                    buildable.add(f"{module.name}.{name}")
    # Beside the two factories what computes from objects alone.
    assert buildable == {
        "avrobust.synthetic.dataset.synthetic",
        "avrobust.threats.snr_suite",
        "avrobust.threats.suite",
        "avrobust.analyses.localization.compute.scaled",
        "avrobust.tracking.loggers.build_tracker",
        "avrobust.evaluation.evaluate.all_conditions",
    }


def _may_be_built(target: str, kind: object) -> bool:
    try:
        locate("x", target, kind)
    except UserError:
        return False
    return True


def test_the_strings_of_a_run_stay_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    visual = option_for("visual", "resnet10").with_values(weights="${oc.env:SECRET}")
    with pytest.raises(UserError, match=r"visual\.weights=\$\{oc\.env:SECRET\}: cannot be read"):
        build("visual", visual)


def test_an_analysis_generates_no_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "named by a stranger"
    result = put(tmp_path, (90, 50, 40, 10), f"dataset.root='{root}'")
    line = refused("surface", tmp_path / "attack" / result.run_id, capsys)
    assert f"dataset.root={root}: no synthetic data set" in line
    assert not root.exists()


def test_an_analysis_says_what_it_trains_again(
    attacked: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object) -> None:
        raise UserError("training begins")

    monkeypatch.setattr("avrobust.tasks.analyze.trained", stop)
    (folder,) = (attacked / "attack").iterdir()
    main(["surface", str(folder)])
    assert "is trained now" not in capsys.readouterr().err
    moved = tmp_path / "attack" / folder.name
    moved.mkdir(parents=True)
    (moved / "result.json").write_bytes((folder / "result.json").read_bytes())
    main(["surface", str(moved)])
    said = capsys.readouterr().err
    assert "is not a finished training: the model is trained now, 2 epochs a stage, into" in said
    assert str(tmp_path / "train") in said


def test_a_config_file_allows_nothing(trap: Trap) -> None:
    configs = trap.folder / "configs"
    for group in ("attack", "experiment"):
        (configs / group).mkdir(parents=True)
    (configs / "attack" / "evil.yaml").write_text(f"_target_: {STRANGER}.run\n")
    opened = f"# @package _global_\nallow: [{STRANGER}]\n"
    (configs / "experiment" / "opened.yaml").write_text(opened)
    done = run_script(
        *("attack.py", "--config-dir", str(configs), "attack=evil", "experiment=opened"),
        f"runs={trap.folder / 'runs'}",
        cwd=trap.folder,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"attack.py: attack._target_={STRANGER}.run: the package {STRANGER} is not allowed; "
        f"if you trust it: {ALLOW}={STRANGER}\n"
    )
    assert not trap.canary.exists()
    assert not (trap.folder / "runs" / "attack").exists()


def test_packages_typed_after_allow() -> None:
    words = ["-m", "allow=[my_lab,'other']", "fusion=concat", "+allow=third", "allow=[]"]
    assert typed_packages(words) == ["my_lab", "other", "third"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("experiment/env.yaml", "# @package _global_\nhydra: {job: {env_set: {A: b}}}\n"),
        ("experiment/call.yaml", "# @package _global_\nhydra.callbacks.x._target_: evil.Call\n"),
        ("experiment/place.yaml", "# @package hydra.callbacks\nx: {_target_: evil.Call}\n"),
        ("hydra/job_logging/log.yaml", "version: 1\n"),
    ],
)
def test_a_folder_of_options_sets_nothing_else_of_hydra(
    tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(UserError, match="of Hydra's own settings"):
        own_folder(Path("train.py"), ["--config-dir", str(tmp_path)])


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "result.json")
    with pytest.raises(ValueError, match="not a file"):
        read_json(tmp_path / "result.json")


def test_no_option_stands_where_a_value_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"_target_": "avrobust.synthetic.dataset.synthetic", "root": "elsewhere"}
    waveform = option_for("audio", "waveform").with_values(widths=[node, 8, 8, 16])
    for call in (check_option, build):
        with pytest.raises(UserError, match=r"audio\.widths\.0: a value is wanted here"):
            call("audio", waveform)
