"""What train.py, attack.py and defend.py share: starting Hydra, finding finished work, messages."""

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from avrobust.cli.completion import prepare_completion
from avrobust.cli.explain import explain
from avrobust.cli.help import help_text
from avrobust.cli.own_options import own_folder
from avrobust.errors import UserError
from avrobust.experiments.schema import register

register()
# Our Slurm profile has the name of the plugin's on purpose: the plugin's types then check it. The
# filter stands here and not in `run`, which a job on the cluster does not pass.
warnings.filterwarnings(
    "ignore", r"\s*'hydra/launcher/submitit_slurm' is validated against ConfigStore schema"
)

LAUNCHER = "hydra/launcher"
MISTAKES = (UserError, HydraException, OmegaConfBaseException, OSError)


def run(main: Callable[[], Any]) -> None:
    """Runs a script and exits: with status 0, 1 for failed jobs, 2 for a mistake, 130 for Ctrl-C.

    A mistake of the user ends in one line on standard error. A sweep ends with its table and the
    list of what failed.

    Args:
        main: The function that Hydra decorates.
    """
    script, arguments = Path(sys.argv[0]), sys.argv[1:]
    try:
        if _has(arguments, "-h", "--help"):
            sys.stdout.write(help_text(script, arguments) + "\n")
            return
        if _has(arguments, "-sc", "--shell-completion"):
            prepare_completion()
        own_folder(script, arguments)  # refuses a wrong one
        status = _run_hydra(main)
    except MISTAKES as error:
        sys.exit(_complain(error))
    if _sweeping():
        from avrobust.report.sweep import conclude

        status = conclude() or status
    sys.exit(status)


def _has(arguments: list[str], *flags: str) -> bool:
    return not set(flags).isdisjoint(arguments)


def _run_hydra(main: Callable[[], Any]) -> int:
    """The exit status of what Hydra runs."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it would print over many lines
    try:
        main()
    except MISTAKES:
        raise
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on from the last finished epoch\n")
        return 130
    except Exception as error:  # for example a worker that was killed for its memory
        if not _sweeping():
            raise
        sys.stderr.write(f"the sweep broke off: {type(error).__name__}: {explain(error)}\n")
        return 1
    return 0


def _sweeping() -> bool:
    """Whether this process has begun a multirun."""
    sweeps = sys.modules.get("avrobust.experiments.sweeps")
    return sweeps is not None and sweeps.current is not None


def _complain(error: BaseException) -> int:
    sys.stderr.write(f"{Path(sys.argv[0]).name}: {explain(error)}\n")
    return 2


def job(task: str, config: DictConfig) -> None:
    """Runs one task on the resolved and checked config and prints its result.

    The result of a finished run with this config is printed without running anything.

    Args:
        task: The module of `avrobust.tasks` to run: "train", "attack" or "defend".
        config: As Hydra composed it.
    """
    hydra = HydraConfig.get()
    context = {"choices": named(hydra.runtime.choices), "overrides": list(hydra.overrides.task)}
    work = partial(_work, task, config, context, alone=hydra.mode == RunMode.RUN)
    if hydra.mode == RunMode.MULTIRUN:
        from avrobust.experiments.sweeps import record

        return record(work, Path(hydra.sweep.dir), int(hydra.job.num), explain)
    try:
        result = work()
    except UserError as error:
        sys.exit(_complain(error))
    from avrobust.report.row import print_result

    return print_result(result, Path(config.runs))


def named(choices: Mapping[str, str | None]) -> dict[str, str]:
    """The choices that a result keeps: the options of all groups but Hydra's own, and the launcher.

    Args:
        choices: Hydra's, by group; None where nothing is chosen.
    """
    kept = {}
    for group, choice in choices.items():
        if choice and (group == LAUNCHER or not group.startswith("hydra/")):
            kept[group] = str(choice)
    return kept


def _work(task: str, config: DictConfig, context: dict[str, Any], *, alone: bool) -> dict[str, Any]:
    """The task's result; a finished run's is read from disk without importing torch."""
    from avrobust.experiments.config import check, resolve
    from avrobust.experiments.runs import Run, finished
    from avrobust.tracking.loggers import publish, tracker

    joblib = not alone and context["choices"].get(LAUNCHER) == "joblib"
    values = {**resolve(config), **context, "side_by_side": joblib}
    result = finished(task, values)  # type: ignore[arg-type]
    if result is None:
        check(values)
        tracker(values)
        if not alone and values["trainer"]["devices"] != 1:
            raise UserError(
                f"trainer.devices={values['trainer']['devices']}: a multirun gives each job one "
                "device, as Lightning's DDP would start the whole multirun again in every process; "
                "train this model in a plain run first"
            )
        result = import_module(f"avrobust.tasks.{task}").main(values)
    else:
        folder = Path(values["runs"]) / task / result["run_id"]
        publish(values, Run(task, result["run_id"], folder))  # type: ignore[arg-type]
    assert result is not None
    return result
