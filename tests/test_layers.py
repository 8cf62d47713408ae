"""Who may import whom: read from the imports themselves."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import PROJECT, attack, run_in_new_interpreter

SOURCE = PROJECT / "src" / "avrobust"

# From the bottom up, as the folders read; nothing imports a layer above its own.
LAYERS = (
    ("errors", "types", "ranges"),
    ("utils",),
    ("charts",),
    ("threats",),
    ("data",),
    ("preparation",),
    ("synthetic",),
    ("models",),
    ("attacks",),
    ("defenses",),
    ("evaluation",),
    ("training",),
    ("experiments",),
    ("tracking",),
    ("analyses", "tasks", "report"),
    ("cli",),
)


def modules() -> dict[str, Path]:
    names = {
        path: ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for path in SOURCE.rglob("*.py")
    }
    return {
        name.removesuffix(".__init__"): path for path, name in names.items() if name != "__init__"
    }


def layer(name: str) -> int:
    """How far up a module is; every folder and every module beside them has a place."""
    first = name.split(".")[0]
    found = [height for height, names in enumerate(LAYERS) if first in names]
    assert found, f"avrobust.{name} has no layer: add it to LAYERS"
    return found[0]


def imported(path: Path) -> set[str]:
    """Every module that a file imports, at the top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def ours(path: Path) -> set[str]:
    return {
        name.removeprefix("avrobust.") for name in imported(path) if name.startswith("avrobust.")
    }


@pytest.mark.parametrize("name", modules())
def test_nothing_imports_upwards(name: str) -> None:
    for other in ours(modules()[name]):
        assert layer(other) <= layer(name), f"avrobust.{name} imports avrobust.{other}"


def test_no_module_below_tasks_builds_from_a_config() -> None:
    services = {"experiments.config", "experiments.build", "experiments.runs", "utils.gpus"}
    for name, path in modules().items():
        if name.split(".")[0] in ("tasks", "cli", "tracking", "experiments"):
            continue
        used = ours(path) & services
        assert not used, f"avrobust.{name} imports {used}"


@pytest.mark.parametrize(
    ("package", "owner"),
    [("wandb", "tracking.wandb"), ("wandb_workspaces", "tracking.dashboard")],
)
def test_one_importer(package: str, owner: str) -> None:
    users = {
        name
        for name, path in modules().items()
        if package in {i.split(".")[0] for i in imported(path)}
    }
    assert users <= {owner}


def test_wandb_is_imported_only_if_its_option_is_chosen() -> None:
    importers = [name for name, path in modules().items() if "tracking.wandb" in ours(path)]
    assert importers == ["tracking.dashboard"]


def test_attacks_know_no_defense() -> None:
    for name, path in modules().items():
        if name.startswith("attacks"):
            assert not any(other.startswith("defenses") for other in ours(path))


def test_nothing_is_built_or_located_by_hydra() -> None:
    # hydra.utils imports and calls whatever a config names; experiments.targets allows little.
    users = {name for name, path in modules().items() if "hydra.utils" in imported(path)}
    assert users == set()


LIGHT = (
    "train",
    "attack",
    "defend",
    "avrobust.report.row",
    "avrobust.report.page, avrobust.report.figures",
    "avrobust.charts.page, avrobust.charts.paper",
    "avrobust.cli.main",
    "avrobust.synthetic.dataset",
    "avrobust.experiments.runs",
)


@pytest.mark.parametrize("code", [f"import {name}" for name in LIGHT])
def test_light_modules_do_not_load_torch(code: str) -> None:
    heavy = ("torch", "pytorch_lightning", "librosa")
    check = f"import sys; {code}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def packages_of_a_start(*command: str) -> set[str]:
    """The packages that a script imports from start to end, as Python itself lists them."""
    done = run_in_new_interpreter(*command, flags=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_a_finished_run_is_printed_without_torch_and_pandas(prepared: Path, attacked: Path) -> None:
    packages = packages_of_a_start(*attack(prepared, attacked, "attack=fgsm"))
    assert {"avrobust", "hydra"} <= packages
    assert not packages & {"torch", "pandas", "scipy", "sklearn", "librosa", "matplotlib", "jinja2"}


def test_a_trained_model_is_attacked_without_what_trains_prepares_and_reports(
    prepared: Path, attacked: Path, tmp_path: Path
) -> None:
    shutil.copytree(attacked, tmp_path / "runs")
    packages = packages_of_a_start(*attack(prepared, tmp_path / "runs", "attack=fgsm", "eps=0.02"))
    assert {"avrobust", "torch"} <= packages
    assert not packages & {"pytorch_lightning", "lightning_fabric", "torchmetrics"}
    assert not packages & {"torchvision", "torchaudio", "librosa", "av", "decord", "sklearn"}
    assert not packages & {"pandas", "matplotlib", "jinja2"}


# The same job in each folder: the entry of a task, and the parts of an analysis.
SAME_JOB = {"main", "analyze", "charts", "section"}


def test_no_public_name_means_two_things() -> None:
    """A class or function has one definition; constants stay in the file that reads them."""
    places: dict[str, list[str]] = {}
    for module, path in modules().items():
        for node in ast.parse(path.read_text()).body:
            for name in defined(node):
                if not name.startswith("_") and name not in SAME_JOB:
                    places.setdefault(name, []).append(module)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def defined(node: ast.stmt) -> list[str]:
    """The classes, functions and types that a statement of a module defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        name = node.targets[0].id
        return [name] if name != name.upper() else []
    return []
