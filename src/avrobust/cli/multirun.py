"""The start of a multirun: all its jobs are composed and checked before anything is written."""

import sys
import traceback
from collections.abc import Sequence
from typing import Any, cast, final

from hydra.core.global_hydra import GlobalHydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write

from avrobust.cli.explain import MISTAKES, complain
from avrobust.cli.job import LAUNCHER, check_values
from avrobust.cli.launchers import check_launcher
from avrobust.errors import UserError
from avrobust.experiments import sweeps
from avrobust.experiments.build import check
from avrobust.experiments.config import experiment_from
from avrobust.experiments.root_keys import check_runs
from avrobust.experiments.settings import Experiment, Task

# Hydra's launchers whose jobs run on this machine; a cluster's nodes have other hardware.
LOCAL = ("basic", "joblib")


@final
class BeginMultirun(Callback):
    """Hydra's callback: refuses a wrong multirun, and writes down the jobs of a right one."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        # Hydra turns an exception of a callback into a warning and goes on; SystemExit ends it.
        try:
            check_runs(str(config.runs))
            check_launcher(_launcher(config), config.hydra.launcher)
            jobs = sweeps.expand(config.hydra, int(config.max_jobs))
            sweep = sweeps.plan_sweep(config, jobs)
            _check_jobs(config, sweep)
            sweeps.begin(sweep)
        except MISTAKES as error:
            sys.exit(complain(error))
        except Exception:
            traceback.print_exc()
            sys.exit(1)


def _check_jobs(config: DictConfig, sweep: sweeps.Sweep) -> None:
    """Refuses a multirun one of whose jobs is wrong.

    Raises:
        UserError: a value of a job is wrong.
        HydraException: a job does not compose.
    """
    task = cast(Task, config.hydra.job.config_name)
    launcher = _launcher(config)
    experiments = []
    for job_config in _compose(config, sweep.jobs):
        hydra = job_config.hydra
        plain = job_config.copy()
        with read_write(plain), open_dict(plain):
            del plain["hydra"]
        experiment = experiment_from(task, plain, hydra, joblib=launcher == "joblib")
        if not experiment.execution.one_device:
            raise UserError(
                f"trainer.devices={experiment.execution.devices}: a multirun gives each job one "
                "device, as Lightning's DDP would start the whole multirun again in every process; "
                "train this model in a plain run first"
            )
        experiments.append(experiment)
    # A multirun that is done has passed the checks before, and shows its results without torch.
    if not sweep.done():
        for experiment in _distinct(experiments):
            check_values(experiment, here=launcher in LOCAL)
            check(experiment)
        if launcher in LOCAL:
            _check_data(experiments)


def _launcher(config: DictConfig) -> str:
    return str(config.hydra.runtime.choices.get(LAUNCHER))


def _check_data(experiments: list[Experiment]) -> None:
    """Refuses a data set that is not there, and clips that a model cannot take.

    One experiment is tried for each combination of data and encoders.

    Raises:
        UserError: data and model do not fit, or there are no data.
    """
    from avrobust.tasks.setup import check_beforehand  # imports torch

    tried: set[str] = set()
    for experiment in experiments:
        model = experiment.model
        combination = repr([model.dataset, model.audio, model.visual, model.used_fusion])
        if combination not in tried:
            tried.add(combination)
            check_beforehand(model)


def _compose(config: DictConfig, jobs: Sequence[tuple[str, ...]]) -> list[DictConfig]:
    """The config of each job, which Hydra then takes and does not compose again."""
    loader = GlobalHydra.instance().config_loader()
    compose = loader.load_sweep_config
    composed: dict[tuple[str, ...], DictConfig] = {}
    for job in jobs:
        composed[job] = compose(config, list(job))
    configs = list(composed.values())

    def load(master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        # A config is handed out once: a job may change its own.
        config = composed.pop(tuple(sweep_overrides), None)
        return config or compose(master_config, sweep_overrides)

    loader.load_sweep_config = load  # type: ignore[method-assign]
    return configs


def _distinct(experiments: list[Experiment]) -> list[Experiment]:
    """The experiments without those that differ in what no check of values reads."""
    distinct: dict[str, Experiment] = {}
    for experiment in experiments:
        options = [experiment.model, experiment.attack]
        distinct.setdefault(repr(options), experiment)
    return list(distinct.values())
