"""Runs a command that is wrong, and checks how it ends: status 2, one line, nothing left behind."""

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests import forking
from tests.support import AVROBUST, PROJECT

# With our own modules imported before the fork, a command costs what its checks cost.
MODULES = (
    *forking.LIBRARIES,
    "avrobust.cli.main",
    "avrobust.cli.job",
    "avrobust.cli.multirun",
    "avrobust.cli.scripts",
    "avrobust.tasks.attack",
    "avrobust.tasks.defend",
    "avrobust.tasks.train",
)


def environment() -> dict[str, str]:
    """No GPU, whatever machine the tests run on."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def assert_refused(program: str, words: Sequence[str], at_fault: str, cwd: Path) -> None:
    """Runs a wrong command in a fork.

    Args:
        program: a script of the project, or "avrobust".
        words: what follows it.
        at_fault: the key or word that the message has to name.
        cwd: a folder, which the command must leave as it is.
    """
    before = _files(cwd)
    path = AVROBUST if program == "avrobust" else str(PROJECT / program)
    done = forking.run(path, *words, cwd=cwd, env=environment(), timeout=60, modules=MODULES)
    assert_one_line(done, at_fault)
    assert _files(cwd) == before


def assert_one_line(done: subprocess.CompletedProcess[str], at_fault: str) -> None:
    """Checks the status and the message of a refused command."""
    assert done.returncode == 2, done.stderr or done.stdout
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.endswith("\n")
    assert done.stderr.rstrip("\n").isprintable()
    assert len(done.stderr) < 1000
    assert at_fault in done.stderr
    assert done.stdout == ""


def user_seconds(program: str, words: Sequence[str], at_fault: str, cwd: Path) -> float:
    """Runs a wrong command in an interpreter of its own; its processor time, imports included."""
    before, start = _files(cwd), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    path = AVROBUST if program == "avrobust" else str(PROJECT / program)
    done = subprocess.run(
        [sys.executable, path, *words],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert_one_line(done, at_fault)
    assert _files(cwd) == before
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start


def _files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))
