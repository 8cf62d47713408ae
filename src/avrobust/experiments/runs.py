"""The folder of a run: its files, and whether it is finished.

    <runs>/<task>/<run_id>/  config.yaml result.json examples.csv metrics.csv checkpoint.ckpt
        error.txt

The same experiment has the same folder from a plain run, a multirun or any launcher. result.json is
whole or absent.
"""

import json
import platform
import shutil
import subprocess
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import yaml
from filelock import FileLock, Timeout

from avrobust.data.prepared import Prepared
from avrobust.errors import UserError
from avrobust.experiments.build import build, check_option
from avrobust.experiments.identity import run_id
from avrobust.experiments.listing import choices, settings_tree
from avrobust.experiments.result_files import (
    FILE,
    ResultError,
    folder_of,
    read_result,
    write_result,
)
from avrobust.experiments.results import Provenance, Result, TrainResult
from avrobust.experiments.settings import Experiment, ModelSettings, Task
from avrobust.experiments.sources import sources, stale
from avrobust.utils.console import warn
from avrobust.utils.files import atomic_write, leftovers, remove_leftovers, zip_problem

PACKAGES = (
    "avrobust",
    "torch",
    "torchvision",
    "torchaudio",
    "pytorch-lightning",
    "hydra-core",
    "numpy",
)


class Run(NamedTuple):
    """One run's place on disk."""

    task: Task
    run_id: str
    folder: Path

    @property
    def checkpoint(self) -> Path:
        """The trained weights."""
        return self.folder / "checkpoint.ckpt"

    @property
    def training(self) -> Path:
        """The folder of the checkpoints that a training goes on from; gone once it is finished."""
        return self.folder / "training"

    def result(self) -> Result | None:
        """The finished run's result; None if there is none that can be used."""
        try:
            return read_result(self.folder)
        except ResultError as error:
            warn(f"{self.folder / FILE}: {error}; the run is done again")
            return None

    def result_for(self, experiment: Experiment, *, say: bool = False) -> Result | None:
        """The finished run's result, unless it is stale and to be computed again.

        Args:
            experiment: what is asked for.
            say: print why a result is computed again.
        """
        result = self.result()
        if result is None or experiment.execution.stale == "show":
            return result
        staleness = stale(result, experiment, self.folder.parents[1])
        if staleness is None:
            return result
        if say:
            warn(f"{staleness.reason}; computed again (stale=show shows it as it is)")
        return None

    @contextmanager
    def claim(self, experiment: Experiment) -> Iterator[Result | None]:
        """Waits until nobody else works on this run, then yields its result.

        It yields None if there is work to do. A failure of that work is written to error.txt and
        raised again; a success removes that file.

        Args:
            experiment: what is asked for; with `force`, a finished result is forgotten.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            self._remove_leftovers()
            if experiment.execution.force:
                self.forget()
            try:
                yield self.result_for(experiment, say=True)
            except Exception as error:
                with suppress(OSError):  # the disk is full: that is then the error to show
                    self.write("error.txt", _describe(error))
                raise
            (self.folder / "error.txt").unlink(missing_ok=True)

    def tidy(self) -> None:
        """Removes what a killed process left of a finished run, unless someone works on the run."""
        if self.training.exists() or leftovers(self.folder):
            with suppress(Timeout, OSError), FileLock(self.folder / ".lock", blocking=False):
                self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """Removes what a killed process left. The caller holds the run's lock."""
        remove_leftovers(self.folder)
        if (self.folder / FILE).is_file():
            shutil.rmtree(self.training, ignore_errors=True)
        else:
            remove_leftovers(self.training)

    def weights_problem(self) -> str | None:
        """Why the trained weights cannot be used; None if they are there, whole."""
        return zip_problem(self.checkpoint)

    def forget(self) -> None:
        """Makes a finished run an unfinished one."""
        (self.folder / FILE).unlink(missing_ok=True)

    def write(self, name: str, text: str) -> None:
        """Writes one of the run's files, whole or not at all."""
        with atomic_write(self.folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def write_config(self, experiment: Experiment) -> None:
        """Keeps the experiment beside the result, for people to read."""
        content = {
            "choices": choices(experiment),
            **settings_tree(experiment),
            "execution": asdict(experiment.execution),
        }
        plain = json.loads(json.dumps(content))  # YAML marks tuples
        self.write("config.yaml", yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))

    def write_result(self, result: Result) -> None:
        """Declares the run finished. Write everything else before."""
        write_result(self.folder, result)


def run_for(experiment: Experiment, fingerprint: str) -> Run:
    """The run of an experiment on the data with this fingerprint."""
    name = run_id(experiment, fingerprint)
    folder = folder_of(Path(experiment.execution.runs), experiment.task, name)
    return Run(experiment.task, name, folder)


def training_run(experiment: Experiment, model: ModelSettings, fingerprint: str) -> Run:
    """The training run of a model, kept where the runs of an experiment are."""
    return run_for(training_of(experiment, model), fingerprint)


def training_of(experiment: Experiment, model: ModelSettings) -> Experiment:
    """The training of a model, done as an experiment is done."""
    return replace(experiment, task="train", model=model, attack=None)


def training_result(run: Run) -> TrainResult:
    """The result of a finished training."""
    result = run.result()
    assert isinstance(result, TrainResult)
    return result


def finished(experiment: Experiment) -> Result | None:
    """The result of an experiment if it is there; imports no torch and waits for no lock."""
    # The first look at the code, before any of it is imported: see utils/source_code.py.
    sources(experiment)
    dataset = experiment.model.dataset
    check_option("dataset", dataset)
    # Without its description a data set may have to be generated first, and only after all checks.
    described = (Path(dataset.values.get("root") or "") / "prepare.json").is_file()
    if experiment.execution.force or not described:
        return None
    check_option("dataset", dataset)
    data: Prepared = build("dataset", dataset)
    run = run_for(experiment, data.fingerprint())
    result = run.result_for(experiment)
    if result is None or (experiment.task == "train" and run.weights_problem()):
        return None
    run.tidy()
    return result


def provenance() -> Provenance:
    """Versions and git state, for the result."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        versions[name] = version(name)
    return Provenance(versions, _git_state())


def _describe(error: Exception) -> str:
    """The reason in the first line, then where it arose, unless it was the user's mistake."""
    is_mistake = isinstance(error, UserError)
    trace = "" if is_mistake else "\n" + "".join(traceback.format_exception(error))
    return f"{type(error).__name__}: {error}\n{trace}"


def _git_state() -> str | None:
    """The code's commit, with a "+" if files were changed since; None outside a git checkout."""
    package = str(Path(__file__).parent)
    command = ["git", "-C", package, "describe", "--always", "--abbrev=40", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
