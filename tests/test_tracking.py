"""What loggers record, read from what W&B really stored offline; no number depends on a logger."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from avrobust.errors import UserError
from avrobust.experiments.build import build
from avrobust.experiments.results import EvaluationResult, VerdictResult
from avrobust.experiments.runs import Run, run_for
from avrobust.experiments.settings import Experiment
from avrobust.tasks import attack
from avrobust.tracking.dashboard import CURVES
from avrobust.tracking.loggers import curves, publish
from tests.results import comparison_with, evaluation_result
from tests.support import NARROW, PROJECT, SHORT, experiment_for, option_for

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning",  # Lightning 2.6 on torch 2.11
    "ignore:.*lr_scheduler.step.*:UserWarning",
)
OFFLINE = ("logger=wandb", "logger.mode=offline")
FOLDERS = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_ARTIFACT_DIR")


class Tracked(NamedTuple):
    """One attack, its training included, tracked offline."""

    experiment: Experiment
    runs: Path
    result: EvaluationResult


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty home and working folder of a user who is not logged in."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.chdir(folder)
        patch.setenv("WANDB_ERROR_REPORTING", "false")
        for name in (*FOLDERS, "WANDB_MODE", "WANDB_API_KEY", "WANDB_DIR"):
            patch.setenv(name, "")  # so that what the tests set is taken back
            patch.delenv(name)
        yield folder


@pytest.fixture(scope="module")
def tracked(prepared: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    runs = tmp_path_factory.mktemp("tracked") / "runs"
    small = (
        *NARROW,
        *SHORT,
        "attack=fgsm",
        "examples=2",
        "sweep=smoke",
        "tags=[first]",
        "name=ours",
    )
    root = ("dataset=folder", f"dataset.root={prepared}", f"runs={runs}")
    experiment = experiment_for("attack", *root, *small, *OFFLINE)
    return Tracked(experiment, runs, attack.main(experiment))


def stored(runs: Path, task: str) -> list[list[dict[str, Any]]]:
    """The records of every W&B run of a task, oldest first."""
    folders = sorted((runs / "wandb").glob(f"offline-run-*-{task}-*"))
    return [_inspected(folder) for folder in folders]


def _inspected(folder: Path) -> list[dict[str, Any]]:
    command = [
        str(Path(sys.executable).with_name("wandb")),
        "leet",
        "inspect",
        "--json",
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def only(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record[kind] for record in records if record["type"] == kind]


def summarized(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {k: v for part in only(records, "summary") for k, v in part["update"].items()}


def run_of(tracked: Tracked, task: str) -> Run:
    (folder,) = (tracked.runs / task).iterdir()
    return Run(task, folder.name, folder)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def attacked(tracked: Tracked) -> list[dict[str, Any]]:
    (records,) = stored(tracked.runs, "attack")
    return records


def test_an_attack_is_one_run_named_as_ours(
    tracked: Tracked, attacked: list[dict[str, Any]]
) -> None:
    (run,) = only(attacked, "run")
    run_id = tracked.result.run_id
    assert (run["display_name"], run["run_id"]) == (run_id, f"attack-{run_id[-10:]}")
    assert (run["project"], run["job_type"], run["run_group"]) == ("avrobust", "attack", "smoke")
    assert run["tags"] == ["folder", "concat", "fgsm", "paper", "first"]
    assert run["notes"] == "ours"
    config = run["config"]["update"]
    assert (config["eps"], config["choices"]["fusion"]) == (0.006, "concat")
    assert "logger" not in config
    assert only(attacked, "exit")[0].get("exit_code", 0) == 0


def test_its_summary_is_the_row_of_the_table(
    tracked: Tracked, attacked: list[dict[str, Any]]
) -> None:
    row, result = summarized(attacked), tracked.result
    assert {name: row[name] for name in result.accuracy} == pytest.approx(result.accuracy)
    (audio,) = (condition for condition in result.conditions if condition.name == "audio")
    interval = (audio.accuracy.low, audio.accuracy.high)
    assert (row["audio_low"], row["audio_high"]) == pytest.approx(interval)
    assert (row["average"], row["n"]) == (pytest.approx(result.average), 9)


def test_the_kept_clips_are_a_table_to_look_at_and_listen_to(
    tracked: Tracked, attacked: list[dict[str, Any]]
) -> None:
    files = {
        f["path"]: f["local_path"] for f in only(attacked, "artifact")[0]["manifest"]["contents"]
    }
    table = json.loads(Path(files["examples.table.json"]).read_text())
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert [row["condition"] for row in rows] == ["clean", "audio", "visual", "audiovisual"] * 2
    assert rows[0]["audio"]["_type"] == "audio-file"
    assert (rows[0]["frame"]["_type"], rows[0]["frame"]["width"]) == ("image-file", 32)
    assert rows[1]["change"] is None  # its sound alone is attacked
    assert rows[2]["change_factor"] > 1
    for medium in (row[name] for row in rows for name in ("frame", "audio")):
        assert Path(files[medium["path"]]).is_relative_to(tracked.runs)


def test_a_training_has_curves_over_epochs(tracked: Tracked) -> None:
    (records,) = stored(tracked.runs, "train")
    (run,) = only(records, "run")
    assert (run["job_type"], run["run_group"]) == ("train", "smoke")
    drawn = [
        (h["item"]["epoch"], h["item"]["val/accuracy"])
        for h in only(records, "history")
        if has_val(h)
    ]
    with (run_of(tracked, "train").folder / "metrics.csv").open() as file:
        rows = csv.DictReader(file)
        kept = [(int(row["epoch"]), float(row["val/accuracy"])) for row in rows]
    assert {name for names in CURVES.values() for name in names} <= set(rows.fieldnames or ())
    assert drawn == [(epoch, pytest.approx(value, abs=1e-3)) for epoch, value in kept]
    assert {metric["glob_name"]: metric["step_metric"] for metric in only(records, "metric")}[
        "val/*"
    ] == "epoch"
    assert summarized(records)["best_epoch"] in (1, 2)


def has_val(history: dict[str, Any]) -> bool:
    return "val/accuracy" in history["item"]


def test_nothing_is_written_outside_the_folder_of_runs(tracked: Tracked, home: Path) -> None:
    code = "from avrobust.tracking.wandb import Wandb; assert Wandb().mode == 'offline'"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not [path for path in home.rglob("*") if "wandb" in path.name]


def test_a_run_is_published_once_and_again_where_it_is_not_yet(tracked: Tracked) -> None:
    assert attack.main(tracked.experiment).run_id == tracked.result.run_id
    assert len(list((tracked.runs / "wandb").glob("offline-run-*"))) == 2

    train = run_of(tracked, "train")
    (train.folder / "wandb.json").unlink()  # as of a run that was made without W&B
    publish(tracked.experiment, train)
    first, second = stored(tracked.runs, "train")
    assert only(first, "run")[0]["run_id"] == only(second, "run")[0]["run_id"]
    assert [h["item"]["epoch"] for h in only(second, "history") if has_val(h)] == [0, 1]
    assert summarized(second)["test"] == pytest.approx(summarized(first)["test"])


def test_a_failure_closes_the_run(tracked: Tracked, tmp_path: Path) -> None:
    execution = replace(tracked.experiment.execution, runs=str(tmp_path))
    experiment = replace(tracked.experiment, execution=execution)
    run = Run("train", "broken-0123456789", tmp_path / "train" / "broken-0123456789")
    with pytest.raises(ZeroDivisionError), curves(experiment, run):
        raise ZeroDivisionError
    (records,) = stored(tmp_path, "train")
    assert only(records, "exit")[0]["exit_code"] == 1


def test_summary_of_a_defense() -> None:
    from avrobust.tracking.wandb import summary

    undefended = evaluation_result(experiment_for("attack"), (3, 2, 2, 2), n=4)
    verdict = VerdictResult(False, ("a black box beats it", "no gradient"), {})
    result = evaluation_result(
        experiment_for("defend", "defense=minsim"), (2, 1, 1, 0), n=4, verdict=verdict
    )
    comparison = replace(comparison_with(result, undefended), ri=-2.5)
    row = summary(replace(result, comparison=comparison))
    assert {name: row[name] for name in ("clean", "ri", "n", "verdict")} == {
        "clean": 50.0,
        "ri": -2.5,
        "n": 4,
        "verdict": "a black box beats it; no gradient",
    }
    assert all(isinstance(value, int | float | str) for value in row.values())  # W&B's columns


def test_who_is_not_logged_in_is_offline(home: Path) -> None:
    logger = option_for("logger", "wandb")
    assert build("logger", logger).mode == "offline"
    with pytest.raises(UserError, match="online: not logged in; run `wandb login`"):
        build("logger", logger.with_values(mode="online"))


@pytest.mark.parametrize(
    ("option", "pattern"),
    [("csv", "csv/version_0/metrics.csv"), ("tensorboard", "tensorboard/events.out.tfevents.*")],
)
def test_lightnings_own_loggers_write_into_the_runs_folder(
    option: str, pattern: str, tmp_path: Path
) -> None:
    run = Run("train", "one", tmp_path / "one")
    experiment = experiment_for("train", f"logger={option}")
    with curves(experiment, run) as (logger,):
        logger.log_metrics({"val/accuracy": 50.0}, step=1)
        logger.save()
        logger.finalize("success")
    assert len(list(run.folder.glob(pattern))) == 1


@pytest.mark.parametrize("option", ["wandb", "csv", "tensorboard"])
def test_a_logger_is_not_science(option: str) -> None:
    plain, tracked = (experiment_for("attack", f"logger={name}") for name in ("none", option))
    assert run_for(tracked, "data") == run_for(plain, "data")


def test_a_sweep_of_wandbs_own_reports_to_the_run_that_it_began(
    tracked: Tracked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "abcd1234")
    monkeypatch.setenv("WANDB_RUN_ID", "efgh5678")
    publish(tracked.experiment, run_of(tracked, "train"))  # though it has been published on its own
    (folder,) = (tracked.runs / "wandb").glob("offline-run-*-efgh5678")
    assert "val" in summarized(_inspected(folder))


def test_the_example_of_a_sweep_of_wandbs_own_sets_what_there_is() -> None:
    sweep = yaml.safe_load((PROJECT / "examples" / "wandb_sweep.yaml").read_text())
    overrides = ["logger=wandb"]
    for name, space in sweep["parameters"].items():
        value = space["values"][0] if "values" in space else space["min"]
        overrides.append(f"{name}={value}")
    experiment_for(Path(sweep["program"]).stem, *overrides)  # type: ignore[arg-type]
