"""The W&B workspace and report as code: they show what is published. No test asks the network."""

import builtins
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from avrobust.cli.main import main
from avrobust.tracking import dashboard
from avrobust.tracking.dashboard import CHOICES, CURVES, MORE, SCORES
from avrobust.tracking.wandb import published_config, summary
from tests.results import TRUSTED, comparison_with, evaluation_result
from tests.support import experiment_for

# wandb-workspaces 0.4 declares its validators as Pydantic 1 did.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who is not logged in to W&B."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setattr(dashboard, "logged_in", lambda: False)


def test_what_is_shown_is_what_is_published() -> None:
    experiment = experiment_for("defend", "defense=minsim")
    published: Any = published_config(experiment)
    for name in CHOICES.values():
        node = published
        for part in name.split("."):
            node = node[part]
    undefended = evaluation_result(experiment_for("attack"), (3, 2, 2, 2), n=4)
    result = evaluation_result(experiment, (3, 2, 2, 2), n=4, verdict=TRUSTED)
    result = replace(result, comparison=comparison_with(result, undefended))
    assert {*SCORES.values(), *MORE} <= set(summary(result))


def test_without_the_package_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("wandb_workspaces"):
            raise ImportError("No module named 'wandb_workspaces'")
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["dashboard"]) == 2
    error = capsys.readouterr().err
    assert "dashboard needs wandb-workspaces" in error
    assert "pip install 'avrobust[dashboard]'" in error
    assert error.count("\n") == 1


@pytest.mark.usefixtures("nobody")
def test_without_a_login_it_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed")
    assert main(["dashboard"]) == 2
    error = capsys.readouterr().err
    assert "not logged in to W&B; run `wandb login`" in error
    assert error.count("\n") == 1


def test_the_workspace_has_the_table_the_coordinates_and_the_curves() -> None:
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed")
    made = (
        dashboard.workspace("ours", "lab")._to_model().model_dump(by_alias=True, exclude_none=True)
    )
    section = made["spec"]["section"]
    robustness, trainings = section["panelBankConfig"]["sections"]
    assert (made["entity"], made["project"]) == ("lab", "ours")
    parallel = robustness["panels"][0]
    assert parallel["viewType"] == "Parallel Coordinates Plot"
    axes = [column["accessor"] for column in parallel["config"]["columns"]]
    assert {
        "config:choices.value.fusion",
        "config:choices.value.attack",
        "config:eps.value",
    } <= set(axes)
    assert axes[-1] == "summary:average"
    assert [panel["config"]["metrics"] for panel in trainings["panels"]] == [
        list(names) for names in CURVES.values()
    ]
    pinned = section["runSets"][0]["runFeed"]["columnPinned"]
    assert {"summary:audiovisual", "summary:ri", "config:choices.value.defense"} <= set(pinned)


def test_the_report_tells_attacks_from_trainings() -> None:
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed")
    made = dashboard.wandb_report("ours", "lab")
    grids = [block for block in made.blocks if type(block).__name__ == "PanelGrid"]
    filters = [grid.runsets[0].filters for grid in grids]
    assert ["'attack'" in text and "'defend'" in text for text in filters] == [True, True, False]
    assert "'train'" in filters[2]
    assert "summary:audiovisual" in grids[0].runsets[0].pinned_columns
    assert grids[1].panels[0].table_name == "examples"
    for grid in grids:
        for panel in grid.panels:
            panel._to_model()
