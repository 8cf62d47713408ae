"""The settings of Hydra's launchers, checked before a multirun writes anything."""

import shutil
from importlib import import_module
from typing import Annotated, final

from annotated_types import Ge, Le
from omegaconf import DictConfig

from avrobust.errors import UserError
from avrobust.ranges import WorkerCount
from avrobust.utils.arguments import violation

PACKAGES = ("hydra._internal.core_plugins.", "hydra_plugins.")  # of Hydra's launchers
SLURM = ("sbatch", "srun")  # the programs that submitit calls
AllButSome = Annotated[int, Ge(-1024), Le(-1)]  # -1: as many as fit; -2: all cores but one


@final
class JoblibSettings:
    """What of joblib is left to the user; its other keys are about arrays, and jobs are words.

    Args:
        n_jobs: how many jobs run at the same time.
        verbose: how much joblib says.
    """

    def __init__(
        self, n_jobs: WorkerCount | AllButSome = -1, verbose: Annotated[int, Ge(0), Le(100)] = 0
    ) -> None:
        self.n_jobs, self.verbose = n_jobs, verbose


def check_launcher(name: str, launcher: DictConfig) -> None:
    """Refuses settings of a launcher that would end a sweep once it has begun.

    Args:
        name: the option of the group `hydra/launcher`.
        launcher: its settings.

    Raises:
        UserError: a setting is not allowed, or a program of the launcher is not there.
    """
    target = str(launcher.get("_target_"))
    if not target.startswith(PACKAGES):
        raise UserError(f"hydra.launcher._target_={target}: is no launcher of Hydra")
    if name == "joblib":
        _check_joblib(launcher)
    if target.endswith(".SlurmLauncher"):
        for program in SLURM:
            if shutil.which(program) is None:
                raise UserError(
                    f"hydra/launcher={name}: the program {program} is not on this machine; start "
                    "the sweep where Slurm is, or take hydra/launcher=joblib"
                )


def _check_joblib(launcher: DictConfig) -> None:
    defaults = vars(
        import_module("hydra_plugins.hydra_joblib_launcher.config").JobLibLauncherConf()
    )
    settings = {"n_jobs": launcher.get("n_jobs"), "verbose": launcher.get("verbose")}
    for key, value in launcher.items():
        if key not in settings and value != defaults.get(str(key)):
            raise UserError(
                f"hydra.launcher.{key!s}={value}: cannot be set here; of joblib's keys there are "
                f"{', '.join(settings)}"
            )
    if wrong := violation(JoblibSettings, settings):
        raise UserError(f"hydra.launcher.{wrong}")
