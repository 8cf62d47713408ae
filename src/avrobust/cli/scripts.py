"""What the scripts share: starting Hydra, finding finished work, turning every mistake into one line and status 2."""

import os
import re
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

from avrobust.cli.help import hasten_completion, help_text
from avrobust.errors import UserError, did_you_mean
from avrobust.experiments.identity import SOURCE
from avrobust.experiments.schema import register

register()
# Wanted: our Slurm profile has the name of the plugin's, whose types check it. Here and not in
# `run`, which a job on the cluster does not pass.
warnings.filterwarnings(
    "ignore", r"\s*'hydra/launcher/submitit_slurm' is validated against ConfigStore schema"
)

GROUPS = (
    "dataset",
    "audio",
    "visual",
    "fusion",
    "defense",
    "attack",
    "threat",
    "trainer",
    "logger",
    "experiment",
    "sweep",
)
LAUNCHER = "hydra/launcher"


def run(main: Callable[[], Any]) -> None:
    """Runs a Hydra main; a user's mistake ends in one line on standard error and exit status 2.

    A sweep ends with its table and the list of what failed, and with status 1 if anything did.
    """
    if not {"-h", "--help"}.isdisjoint(sys.argv[1:]):
        script = Path(sys.argv[0])
        sys.stdout.write(help_text(script.stem, script.with_name("configs")) + "\n")
        return
    if not {"-sc", "--shell-completion"}.isdisjoint(sys.argv[1:]):
        hasten_completion()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it would print over many lines
    status = 0
    try:
        main()
    except (UserError, HydraException, OmegaConfBaseException, OSError) as error:
        sys.exit(_complain(error))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on from the last finished epoch\n")
        status = 130
    except Exception as error:  # for example a worker that was killed for its memory
        if not _sweeping():
            raise
        sys.stderr.write(f"the sweep broke off: {type(error).__name__}: {explain(error)}\n")
        status = 1
    if _sweeping():
        from avrobust.report.sweep import conclude

        status = conclude() or status
    sys.exit(status)


def _sweeping() -> bool:
    """Whether this process has begun a multirun."""
    sweeps = sys.modules.get("avrobust.experiments.sweeps")
    return sweeps is not None and sweeps.current is not None


def job(task: str, config: DictConfig) -> None:
    """Runs one task on the resolved and checked config, or shows the result of the finished run that it describes."""
    hydra = HydraConfig.get()
    given = {"choices": named(hydra.runtime.choices), "overrides": list(hydra.overrides.task)}
    work = partial(_work, task, config, given, alone=hydra.mode == RunMode.RUN)
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
    """Of Hydra's choices those that a result keeps: the options of our groups, those inside a defense, the launcher."""
    return {
        group: str(choice)
        for group, choice in choices.items()
        if choice
        and (group in (*GROUPS, LAUNCHER) or group.startswith("defense") or SOURCE in group)
    }


def _work(task: str, config: DictConfig, given: dict[str, Any], *, alone: bool) -> dict[str, Any]:
    """The task's result, from disk if the run is finished: that is found out without importing torch."""
    from avrobust.experiments.config import check, resolve
    from avrobust.experiments.runs import Run, finished
    from avrobust.tracking.loggers import publish, tracker

    joblib = not alone and given["choices"].get(LAUNCHER) == "joblib"
    values = {**resolve(config), **given, "side_by_side": joblib}
    result = finished(task, values)  # type: ignore[arg-type]
    if result is None:
        check(_unchecked(task, values))
        tracker(values)
        if not alone and values["trainer"]["devices"] != 1:
            raise UserError(
                f"trainer.devices={values['trainer']['devices']}: a multirun gives each job one device, as Lightning's "
                "DDP would start the whole multirun again in every process; train this model in a plain run first"
            )
        result = import_module(f"avrobust.tasks.{task}").main(values)
    else:
        publish(values, Run(task, result["run_id"], Path(values["runs"]) / task / result["run_id"]))  # type: ignore[arg-type]
    assert result is not None
    return result


def _unchecked(task: str, values: dict[str, Any]) -> dict[str, Any]:
    """What has to be checked: not the trainer, whose check imports Lightning, if the model is trained already."""
    from avrobust.experiments.runs import finished

    if task == "train" or finished("train", {**values, "force": False}) is None:
        return values
    return {key: value for key, value in values.items() if key != "trainer"}


def _complain(error: BaseException) -> int:
    sys.stderr.write(f"{Path(sys.argv[0]).name}: {explain(error)}\n")
    return 2


def explain(error: BaseException) -> str:
    """One line that says what was wrong and what the choices are."""
    text = str(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}; can it be read and written, and is runs= the folder you want?"
    for reason in (error, error.__cause__):
        if isinstance(reason, OmegaConfBaseException) and isinstance(
            reason.parent_node, DictConfig
        ):
            return _explain_key(reason, reason.parent_node, text)
    option = re.search(
        r"Could not find '([^']+)/([^'/]+)'\s+Available options in '[^']+':\s+(.*)", text, re.DOTALL
    )
    if option:
        group, name, choices = option.groups()
        names = ", ".join(choices.partition("Config search path")[0].split())
        return f"{group}={name}: no such option; choices: {names}"
    return " ".join(text.split())


def _explain_key(reason: OmegaConfBaseException, parent: DictConfig, text: str) -> str:
    if reason.key not in parent:
        names = [str(name) for name in parent if name != "hydra" and not str(name).startswith("_")]
        return f"{reason.full_key}: no such key{did_you_mean(str(reason.key), names)}"
    given = re.search(r"override (\S+)", text)
    message = str(reason.msg).partition("full_key")[0]
    return f"{given[1] if given else reason.full_key}: {' '.join(message.split())}"
