"""Ctrl-C says its line and ends with status 130, in start-up, in a run and in a sweep."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from avrobust.utils.system import process_alive
from tests import forking
from tests.support import AVROBUST, PROJECT, attack, start_script

# Runs a program, and presses Ctrl-C when it imports a module for the first time.
AT_AN_IMPORT = """
import os, runpy, signal, sys

class AtImport:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

module = sys.argv[1]
del sys.argv[:2]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
sys.meta_path.insert(0, AtImport())
runpy.run_path(sys.argv[0], run_name="__main__")
"""
LINE = "{}: interrupted; the same command goes on where this one stopped\n"


def assert_interrupted(status: int, err: str, program: str, sweep: bool = False) -> None:
    line, *jobs = err.splitlines(keepends=True)
    assert (status, line) == (130, LINE.format(program))
    assert all("job" in job for job in jobs) if sweep else not jobs, err


def test_ctrl_c_while_the_libraries_are_imported() -> None:
    """In an interpreter of its own: the forks of the other tests have imported them."""
    command = [sys.executable, "-c", AT_AN_IMPORT, "hydra", str(PROJECT / "train.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert_interrupted(done.returncode, done.stderr, "train.py")


@pytest.mark.parametrize(
    "module",
    [
        "avrobust.cli.job",
        "avrobust.cli.help",
        "avrobust.experiments.config",
        "avrobust.models.encoders.waveform",
        "avrobust.tasks.train",
        "avrobust.training.fit",
        "avrobust.training.checkpoints",
        "avrobust.report.row",
    ],
)
def test_ctrl_c_while_a_run_imports_its_code(module: str, prepared: Path, tmp_path: Path) -> None:
    _, *overrides = attack(prepared, tmp_path, "training.epochs=1")
    script = str(PROJECT / "train.py")
    done = forking.run("-c", AT_AN_IMPORT, module, script, *overrides, cwd=PROJECT, timeout=120)
    assert_interrupted(done.returncode, done.stderr, "train.py")


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("cyclopts", ("--help",)),
        ("avrobust.preparation.prepare", ("prepare", "videos", "root")),
        ("avrobust.report.run", ("report",)),
        ("avrobust.report.status", ("status",)),
    ],
)
def test_ctrl_c_while_a_command_imports_its_code(
    module: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = forking.run("-c", AT_AN_IMPORT, module, AVROBUST, *arguments, cwd=tmp_path, timeout=120)
    assert_interrupted(done.returncode, done.stderr, "avrobust")


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("sweep", [False, True])
def test_ctrl_c_in_a_training(sweep: bool, times: int, prepared: Path, tmp_path: Path) -> None:
    """Lightning would end the program with status 1, and a sweep with the next job."""
    _, *overrides = attack(prepared, tmp_path, "training.epochs=1000")
    flags = ("-m", "seed=0,1") if sweep else ()
    process = start_script("train.py", *flags, *overrides)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("train/*/training/last.ckpt")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    _, err = process.communicate(60)
    assert_interrupted(process.wait(), err, "train.py", sweep)
    assert not list(tmp_path.rglob(".*@*"))


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_a_sweep_side_by_side_is_that_of_its_workers(
    sent: signal.Signals, prepared: Path, tmp_path: Path
) -> None:
    """A signal of the terminal reaches every process; here the main one alone, which ends them."""
    _, *overrides = attack(prepared, tmp_path, "training.epochs=1000", "hydra/launcher=joblib")
    process = start_script("train.py", "-m", "seed=0,1", *overrides)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("train/*/training/last.ckpt"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers = [json.loads(path.read_text())["pid"] for path in tmp_path.glob("sweeps/*/[01].json")]
    process.send_signal(sent)
    _, err = process.communicate(60)
    if sent == signal.SIGINT:
        assert_interrupted(process.wait(), err, "train.py", sweep=True)
    assert len(workers) == 2
    deadline = time.monotonic() + 15  # they train for minutes
    while any(map(process_alive, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
