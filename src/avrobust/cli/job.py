"""One job of a script: from the composed config to a finished run and its printed row."""

import gc
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from avrobust.cli.explain import complain, explain, is_mistake

if TYPE_CHECKING:  # imported when they are needed, so that --help and completion answer at once
    from avrobust.experiments.results import Result
    from avrobust.experiments.settings import Experiment, Task

LAUNCHER = "hydra/launcher"


def job(task: "Task", config: DictConfig) -> None:
    """Runs one task on the composed config.

    If the config describes a finished run, its result is shown instead.
    """
    hydra = HydraConfig.get()
    multirun = hydra.mode == RunMode.MULTIRUN
    work = partial(_work, task, config, hydra, multirun=multirun)
    if multirun:
        from avrobust.experiments.sweeps import record
        from avrobust.utils.system import end_with_parent

        if hydra.runtime.choices.get(LAUNCHER) == "joblib":
            end_with_parent()
        return record(work, Path(hydra.sweep.dir), int(hydra.job.num), explain)
    try:
        result = work()
    except Exception as error:
        # Not left to Hydra, which would write a line of its own first.
        if is_mistake(error):
            sys.exit(complain(error))
        raise
    from avrobust.report.row import print_result

    return print_result(result, Path(config.runs))


def _work(task: "Task", config: DictConfig, hydra: HydraConf, *, multirun: bool) -> "Result":
    """The task's result. A finished run is read from disk, without torch."""
    from avrobust.experiments.config import experiment_from
    from avrobust.experiments.runs import Run, finished
    from avrobust.tracking.loggers import publish

    joblib = multirun and hydra.runtime.choices.get(LAUNCHER) == "joblib"
    experiment = experiment_from(task, config, hydra, joblib=joblib)
    result = finished(experiment)
    if result is None:
        check_values(experiment)
        _check_options(experiment)
        made: Result = import_module(f"avrobust.tasks.{task}").main(experiment)
        gc.collect()  # the next job in this process starts with the memory of this one given back
        return made
    folder = Path(experiment.execution.runs) / task / result.run_id
    publish(experiment, Run(task, result.run_id, folder))
    return result


def check_values(experiment: "Experiment", *, here: bool = True) -> None:
    """Refuses what cannot work, without importing torch where there is no GPU.

    Args:
        experiment: what is asked for.
        here: whether it will run on this machine.

    Raises:
        UserError: the task refuses a combination, the memory does not suffice, or there is no such
            hardware.
    """
    from avrobust.experiments.memory import check_memory
    from avrobust.experiments.trainer import check_hardware, trainer_settings

    settings = trainer_settings(experiment.model.trainer)
    if not here:
        return
    check_memory(experiment)
    if settings:
        check_hardware(experiment.model.trainer, settings)


def _check_options(experiment: "Experiment") -> None:
    """Checks every option against what it builds, before any work.

    Raises:
        UserError: a value does not fit, or the logger cannot be had.
    """
    from avrobust.experiments.build import check, check_trainer
    from avrobust.tracking.loggers import build_tracker

    check(experiment)
    check_trainer(experiment.model)
    build_tracker(experiment)
