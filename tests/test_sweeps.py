"""Multiruns as users start them: files, failures, parallel jobs, two at once, records."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from avrobust.experiments.identity import run_id
from avrobust.experiments.results import Result
from avrobust.experiments.sweeps import Job, Sweep, expand, read_sweep, read_sweeps, record
from hydra_plugins.avrobust_sweeper import OnceSweeper
from tests.results import evaluations, trainings
from tests.support import (
    AVROBUST,
    CONFIGS,
    OFFLINE,
    PROJECT,
    attack,
    experiment_for,
    options,
    run_script,
    start_script,
)

FAILS = (
    "-m",
    "fusion=sum,concat",
    "attack=fgsm",
    "audio.widths=[8,8,8,8]",
)  # sum wants embeddings of one size


def jobs_of(sweep: str, *overrides: str) -> tuple[tuple[str, ...], ...]:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS)):
        loader = GlobalHydra.instance().config_loader()
        return expand(
            loader.load_configuration(
                "attack", [f"sweep={sweep}", *overrides], RunMode.MULTIRUN
            ).hydra,
            10_000,
        )


def covering(jobs: tuple[tuple[str, ...], ...]) -> list[tuple[str, ...]]:
    """Jobs in which every value of every axis occurs."""
    chosen: list[tuple[str, ...]] = []
    for job in jobs:
        if not set(job) <= set().union(*chosen):
            chosen.append(job)
    return chosen


@pytest.mark.parametrize(
    "picked", [covering, pytest.param(list, marks=pytest.mark.slow)], ids=["covering", "all"]
)
@pytest.mark.parametrize("sweep", options("sweep"))
def test_jobs_of_every_sweep_compose_each_into_a_run_of_its_own(
    sweep: str, picked: Callable[..., Any]
) -> None:
    jobs = jobs_of(sweep)
    assert len(set(jobs)) == len(jobs)
    seen = [experiment_for("attack", *job) for job in picked(jobs)]
    assert len({run_id(experiment, "data") for experiment in seen}) == len(seen) > 1


def test_the_command_line_replaces_and_adds_axes() -> None:
    jobs = jobs_of("table2", "dataset=music,ave", "fusion=sum,film", "seed=0,1,2")
    assert len(jobs) == 2 * 2 * 3
    assert not any("dataset=synthetic" in job for job in jobs)
    experiment_for("attack", *jobs[-1], *OFFLINE["resnet18_imagenet"])


@pytest.mark.parametrize("sweep", options("sweep"))
def test_a_sweep_file_says_what_it_is_and_how_to_start_it(sweep: str) -> None:
    head = (PROJECT / "sweeps" / f"{sweep}.yaml").read_text().partition("hydra:")[0]
    script = "defend" if sweep == "table3" else "attack"
    assert f"python {script}.py sweep={sweep}" in head
    assert "2 cores" in head


@pytest.fixture(scope="module")
def failing(
    prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    runs = tmp_path_factory.mktemp("failing") / "my runs"
    return runs, run_script(*attack(prepared, runs, *FAILS))


Failing = tuple[Path, subprocess.CompletedProcess[str]]


def test_a_failed_job_stops_no_other_and_is_listed_with_its_reason(failing: Failing) -> None:
    runs, done = failing
    assert done.returncode == 1
    assert [result.experiment.model.fusion.name for result in evaluations(runs)] == ["concat"]
    assert "sweep: 1 of 2 jobs done" in done.stdout
    listed = done.stderr.splitlines()[-1]
    assert listed.startswith("job 1 failed (fusion=sum")
    assert "needs embeddings of one size, but audio has 8 and visual 16" in listed


def test_the_table_of_what_is_done_is_printed(failing: Failing) -> None:
    assert "| paper    | fgsm     | concat   |" in failing[1].stdout


def test_status_tells_the_same_afterwards(failing: Failing) -> None:
    done = run_script(AVROBUST, "status", "--runs", str(failing[0]))
    assert "2 jobs, 1 done, 1 failed" in done.stdout
    assert "job 1 failed (fusion=sum" in done.stdout
    assert "embeddings of one size" in done.stdout


def test_the_same_command_has_the_same_records(failing: Failing, prepared: Path) -> None:
    runs, _ = failing
    ((before,), _) = read_sweeps(runs)
    done = run_script(*attack(prepared, runs, *FAILS, "batch_size=7"))
    assert done.returncode == 1
    ((after,), _) = read_sweeps(runs)
    assert after.folder == before.folder
    assert [job.state for job in after.progress()] == ["failed", "done"]


def test_a_mistake_in_the_command_is_one_line_and_no_sweep(tmp_path: Path) -> None:
    done = run_script("attack.py", "sweep=table2", "fusion=sum,gated", f"runs={tmp_path}")
    assert done.returncode == 2
    assert done.stderr.startswith("attack.py: fusion=gated: no such option; choices: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_job_over_several_devices_is_refused_with_the_reason(
    prepared: Path, tmp_path: Path
) -> None:
    done = run_script(*attack(prepared, tmp_path, "-m", "attack=fgsm,pgd", "trainer.devices=2"))
    assert done.returncode == 2
    assert "trainer.devices=2: a multirun gives each job one device" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_joblib_runs_the_same_jobs_and_trains_each_model_once(
    prepared: Path, tmp_path: Path
) -> None:
    axes = ("-m", "hydra/launcher=joblib", "attack=fgsm,pgd", "fusion=sum,concat")
    done = run_script(*attack(prepared, tmp_path, *axes))
    assert done.returncode == 0, done.stderr
    assert len(evaluations(tmp_path)) == 4
    assert len(trainings(tmp_path)) == 2
    assert "sweep: 4 of 4 jobs done" in done.stdout


def test_two_processes_on_one_sweep_share_its_work(prepared: Path, tmp_path: Path) -> None:
    command = attack(prepared, tmp_path, "-m", "attack=fgsm,pgd")
    both = [start_script(*command), start_script(*command)]
    said = [process.communicate(timeout=200)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all("sweep: 2 of 2 jobs done" in text for text in said)
    (trained,) = trainings(tmp_path)
    rows = (tmp_path / "train" / trained.run_id / "metrics.csv").read_text().splitlines()
    assert len(rows) == 1 + 2  # two epochs, trained by one of them


def test_results_that_were_moved_are_found_where_they_are(prepared: Path, tmp_path: Path) -> None:
    command = ("-m", "attack=fgsm,pgd")
    assert run_script(*attack(prepared, tmp_path / "old", *command)).returncode == 0
    (tmp_path / "old").rename(tmp_path / "new")
    done = run_script(*attack(prepared, tmp_path / "new", *command))
    assert done.returncode == 0, done.stderr
    assert "| paper    | pgd      | concat   |" in done.stdout
    plain = run_script(*attack(prepared, tmp_path / "new", "attack=fgsm"))
    assert str(tmp_path / "new" / "attack") in plain.stdout
    assert not (tmp_path / "old").exists()


def test_where_a_job_broke_off_is_kept(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(
        json.dumps({"name": "x", "command": "", "jobs": [["a=1"], ["a=2"]]})
    )

    def broken() -> Result:
        raise ZeroDivisionError("no luck")

    record(broken, tmp_path, 1, str)
    (left, failed) = read_sweep(tmp_path).progress()
    assert left.state == "left"
    assert (failed.state, failed.overrides) == ("failed", ("a=2",))
    assert failed.reason == f"ZeroDivisionError: no luck (where: {tmp_path / '1.txt'})"
    assert "in broken" in (tmp_path / "1.txt").read_text()


def test_a_job_whose_process_is_gone_is_interrupted_not_running(tmp_path: Path) -> None:
    import socket

    job = Job(
        0, (), "running", started=1.0, host=socket.gethostname(), pid=2**22 + 1
    )  # above the largest pid
    (tmp_path / "0.json").write_text(json.dumps(job._asdict()))
    assert Sweep(tmp_path, "x", "", (("a=1",), ("a=2",))).progress() == [
        job._replace(state="interrupted", overrides=("a=1",)),
        Job(1, ("a=2",)),
    ]


def test_a_job_is_composed_once_before_the_first_and_kept_for_its_own() -> None:
    composed = []

    class Loader:
        def load_sweep_config(
            self, master_config: object, sweep_overrides: list[str]
        ) -> dict[str, object]:
            composed.append(sweep_overrides)
            return {"of": sweep_overrides}

    sweeper, loader = (
        OnceSweeper.__new__(OnceSweeper),
        Loader(),
    )  # Hydra may have loaded its base class twice
    sweeper.launcher, sweeper.config = BasicLauncher(), OmegaConf.create()
    sweeper.hydra_context = SimpleNamespace(config_loader=loader)  # type: ignore[assignment]
    sweeper.validate_batch_is_legal([["a=1"], ["a=2"]])
    assert composed == [["a=1"], ["a=2"]]
    assert loader.load_sweep_config(sweeper.config, ["a=1"]) == {"of": ["a=1"]}
    assert len(composed) == 2
    loader.load_sweep_config(sweeper.config, ["a=1"])  # not of this sweep any more
    assert len(composed) == 3


def test_damaged_records_of_a_sweep_are_listed(tmp_path: Path) -> None:
    folder = tmp_path / "sweeps" / "two-1234"
    folder.mkdir(parents=True)
    content = {"name": "two", "command": "python attack.py", "jobs": [["a=1"], ["a=2"]]}
    (folder / "sweep.json").write_text(json.dumps(content))
    for damage in ("[", "[1]", '{"number": 0}', '{"number": 0, "overrides": [], "state": "x"}'):
        (folder / "0.json").write_text(damage)
        (sweep,), _ = read_sweeps(tmp_path)
        first, second = sweep.progress()
        assert (first.state, second.state) == ("interrupted", "left")
        assert "is damaged" in first.reason
    (folder / "sweep.json").write_text("[1]")
    sweeps, damaged = read_sweeps(tmp_path)
    assert sweeps == []
    assert damaged[0].endswith("sweep.json: damaged; start the sweep again to write it anew")
