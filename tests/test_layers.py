"""Who may import whom: read from the imports themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import PROJECT

SOURCE = PROJECT / "src" / "avrobust"

# From the bottom up; nothing imports a layer above its own. A module takes the layer of its longest listed prefix.
LAYERS = {
    "errors": 0,
    "types": 0,
    "randomness": 0,
    "recipe": 0,
    "console": 0,
    "machine": 0,
    "files": 0,
    "science": 0,
    "help": 1,
    "gpu": 1,
    "schema": 1,
    "data": 1,
    "encoders": 1,
    "fusion": 1,
    "attacks.threat": 1,
    "metrics": 1,
    "model": 2,
    "folding": 3,
    "attacks": 3,
    "defenses": 3,
    "evaluation": 4,
    "verdict": 5,
    "strength": 5,
    "localisation": 5,
    "embeddings": 5,
    "lit": 5,
    "config": 5,
    "runs": 5,
    "loggers": 5,
    "sweeps": 5,
    "tracking": 5,
    "dashboard": 5,
    "report": 5,
    "tasks": 6,
    "again": 7,
    "cli": 8,
    "app": 7,
}
SERVE_TASKS_ALONE = ("config", "runs", "loggers", "tracking", "dashboard", "gpu")


def modules() -> dict[str, Path]:
    names = {path: ".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SOURCE.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for path, name in names.items() if name != "__init__"}


def layer(name: str) -> int:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in LAYERS:
            return LAYERS[".".join(parts[:end])]
    raise AssertionError(f"avrobust.{name} has no layer: add it to LAYERS")


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
    return {name.removeprefix("avrobust.") for name in imported(path) if name.startswith("avrobust.")}


@pytest.mark.parametrize("name", modules())
def test_nothing_imports_upwards(name: str) -> None:
    for other in ours(modules()[name]):
        assert layer(other) <= layer(name), f"avrobust.{name} imports avrobust.{other}"


def test_services_serve_tasks_alone() -> None:
    for name, path in modules().items():
        if name.split(".")[0] in ("tasks", "app", "cli", *SERVE_TASKS_ALONE):
            continue
        used = {other for other in ours(path) if other.split(".")[0] in SERVE_TASKS_ALONE}
        assert not used, f"avrobust.{name} imports {used}"


@pytest.mark.parametrize(
    ("package", "owner"), [("wandb", "tracking"), ("wandb_workspaces", "dashboard"), ("pydantic", "config")]
)
def test_one_importer(package: str, owner: str) -> None:
    users = {name for name, path in modules().items() if package in {i.split(".")[0] for i in imported(path)}}
    assert users <= {owner}


def test_tracking_is_imported_only_if_its_option_is_chosen() -> None:
    assert [name for name, path in modules().items() if "tracking" in ours(path)] == ["dashboard"]


def test_attacks_know_no_defence() -> None:
    for name, path in modules().items():
        if name.startswith("attacks"):
            assert not any(other.startswith("defenses") for other in ours(path))


def test_only_config_instantiates() -> None:
    users = {name for name, path in modules().items() if "hydra.utils" in imported(path)}
    assert users == {"config"}


LIGHT = (
    "train",
    "attack",
    "defend",
    "avrobust.report.row",
    "avrobust.report.page, avrobust.report.figures",
    "avrobust.cli",
    "avrobust.data.embedded",
    "avrobust.runs",
)


@pytest.mark.parametrize("code", [f"import {name}" for name in LIGHT])
def test_light_modules_do_not_load_torch(code: str) -> None:
    check = f"import sys; {code}; print([m for m in ('torch', 'pytorch_lightning', 'librosa') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
