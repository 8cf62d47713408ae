"""Sweeps on a real Slurm that the test starts: whole sweeps, preemption, the time limit."""

import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.results import evaluations, trainings
from tests.slurm import command, missing, slurm
from tests.support import PROJECT, attack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"no Slurm here: {', '.join(missing())} missing"),
]
LAUNCHER = (
    "hydra/launcher=submitit_slurm",
    "hydra.launcher.gpus_per_node=null",
    "hydra.launcher.cpus_per_task=1",
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    with slurm() as env:
        yield env


def sweep(
    cluster: dict[str, str], prepared: Path, runs: Path, *more: str
) -> "subprocess.Popen[str]":
    script, *rest = attack(prepared, runs, "-m", *LAUNCHER, "eps=0.05", *more)
    line = [sys.executable, str(PROJECT / script), *rest]
    env = {**os.environ, **cluster, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    return subprocess.Popen(
        line, cwd=runs, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: "subprocess.Popen[str]", status: int = 0) -> tuple[str, str]:
    try:
        stdout, stderr = process.communicate(timeout=150)
    finally:
        process.kill()
    assert process.returncode == status, stderr
    return stdout, stderr


def logs(runs: Path) -> str:
    """What all jobs wrote to standard error."""
    return "".join(path.read_text() for path in sorted(runs.glob(".submitit/*/*_log.err")))


def metrics(runs: Path) -> list[dict[str, str]]:
    """The rows of the one training run, as far as it is."""
    texts = [path.read_text() for path in runs.glob("train/*/metrics.csv")]
    return [row for text in texts for row in csv.DictReader(text.splitlines())]


def wait_until(true: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 90
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "too slow"
        time.sleep(0.2)


def test_a_sweep_is_an_array_of_jobs(
    cluster: dict[str, str], prepared: Path, tmp_path: Path
) -> None:
    finish(sweep(cluster, prepared, tmp_path, "fusion=sum,concat", "attack=fgsm,mim"))
    chosen = []
    for result in evaluations(tmp_path):
        chosen.append((result.experiment.model.fusion.name, result.attack_name))
    assert sorted(chosen) == [
        ("concat", "fgsm"),
        ("concat", "mim"),
        ("sum", "fgsm"),
        ("sum", "mim"),
    ]
    assert len(trainings(tmp_path)) == 2
    assert logs(tmp_path) == ""  # no warning of Lightning's, Hydra's or submitit's
    assert not list(tmp_path.rglob("*%*"))


def test_a_failed_job_is_listed_and_the_others_are_done(
    cluster: dict[str, str], prepared: Path, tmp_path: Path
) -> None:
    process = sweep(
        cluster, prepared, tmp_path, "fusion=sum,concat", "attack=fgsm", "audio.widths=[8,8,8,8]"
    )
    stdout, stderr = finish(process, status=1)
    assert "sweep: 1 of 2 jobs done" in stdout
    assert "| paper    | fgsm     | concat   |" in stdout
    assert "job 1 failed (fusion=sum" in stderr
    assert "embeddings of one size" in stderr


# How a job is interrupted, and epochs enough for it to be still at work by then.
# The first is what Slurm sends before a time limit; some clusters send it before a preemption, too.
# The second makes Slurm preempt the job: SIGTERM, a time of grace (whose end Slurm looks for every
# 30 s), SIGKILL.
INTERRUPTIONS = {
    "signal": (60, ("scancel", "--signal=USR2", "{job}")),
    "preemption": (
        200,
        ("sbatch", "--partition=high", "--cpus-per-task=2", "--output=/dev/null", "--wrap=true"),
    ),
}


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_an_interrupted_job_goes_on_from_its_last_epoch(
    interruption: str, cluster: dict[str, str], prepared: Path, tmp_path: Path
) -> None:
    epochs, line = INTERRUPTIONS[interruption]
    process = sweep(
        cluster, prepared, tmp_path, f"training.epochs={epochs}", "workers=1", "attack=fgsm"
    )
    wait_until(lambda: len(metrics(tmp_path)) > 3, process)
    job = command(cluster, "squeue", "--noheader", "--format=%i")
    command(cluster, *(part.format(job=job) for part in line))
    wait_until(
        lambda: (
            command(cluster, "squeue", f"--job={job}", "--noheader", "--format=%T") == "PENDING"
        ),
        process,
    )
    marked = mark_last_but_one_epoch(tmp_path)
    finish(process)
    rows = metrics(tmp_path)
    assert [int(row["epoch"]) for row in rows] == list(range(epochs))
    assert rows[marked]["train/loss"] == "mark"  # it was not trained again
    assert len(evaluations(tmp_path)) == 1


def mark_last_but_one_epoch(runs: Path) -> int:
    """Training that epoch again would write its row again.

    The last epoch may have been killed before it was saved.
    """
    epoch = len(metrics(runs)) - 2
    (path,) = runs.glob("train/*/metrics.csv")
    path.write_text(
        re.sub(rf"^{epoch},[^,]*", f"{epoch},mark", path.read_text(), flags=re.MULTILINE)
    )
    return epoch
