"""What train.py, attack.py and defend.py share: Hydra's start, an exit status for every end."""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from avrobust.cli.allowed import typed_packages
from avrobust.cli.command_line import check_command_line, without_null_choices
from avrobust.cli.completion import prepare_completion
from avrobust.cli.explain import MISTAKES, complain, explain, is_mistake
from avrobust.cli.help import help_text
from avrobust.cli.interrupts import end_interrupted, interrupted
from avrobust.experiments.schema import register

register()
# Our Slurm profile has the name of the plugin's on purpose: the plugin's types then check it. The
# filter stands here and not in `run_script`, which a job on the cluster does not pass.
warnings.filterwarnings(
    "ignore", r"\s*'hydra/launcher/submitit_slurm' is validated against ConfigStore schema"
)


def run_script(main: Callable[[], Any]) -> None:
    """Runs a script and exits: with status 0, 1 for failed jobs, 2 for a mistake, 130 for Ctrl-C.

    A mistake of the user ends in one line on standard error. A sweep ends with its table and the
    list of what failed.

    Args:
        main: The function that Hydra decorates.
    """
    script, arguments = Path(sys.argv[0]), sys.argv[1:]
    try:
        if _has(arguments, "-h", "--help"):
            check_command_line(script, arguments)
            sys.stdout.write(help_text(script, arguments) + "\n")
            return
        if _has(arguments, "-sc", "--shell-completion"):
            prepare_completion()
        elif "LOCAL_RANK" not in os.environ:  # Lightning adds words for the processes of its DDP
            check_command_line(script, arguments)
            sys.argv[1:] = without_null_choices(script, arguments)
        _allow_typed(arguments)
        status = _run_hydra(main, shows_package=_has(arguments, "-p", "--package"))
    except MISTAKES as error:
        sys.exit(complain(error))
    if _sweeping():
        from avrobust.report.sweep import conclude

        status = max(status, conclude())
    sys.exit(status)


def _allow_typed(arguments: list[str]) -> None:
    """Allows the packages of `allow=[...]` here and, by the environment, in every child process."""
    if packages := typed_packages(arguments):
        from avrobust.experiments.targets import allow

        allow(packages)


def _has(arguments: list[str], *flags: str) -> bool:
    return not set(flags).isdisjoint(arguments)


def _run_hydra(main: Callable[[], Any], *, shows_package: bool) -> int:
    """The exit status of what Hydra runs.

    Args:
        main: The function that Hydra decorates.
        shows_package: One part of the config is to be shown, and Hydra says itself if it is not
            there.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it would print over many lines
    try:
        main()
    except SystemExit as end:
        if shows_package and end.code == 1:
            return 2
        raise
    except KeyboardInterrupt:
        return end_interrupted()
    except Exception as error:
        if interrupted():
            return end_interrupted()
        # For example a worker that was killed for its memory.
        if _sweeping() and not isinstance(error, MISTAKES):
            sys.stderr.write(f"the sweep broke off: {type(error).__name__}: {explain(error)}\n")
            return 1
        if not is_mistake(error):
            raise
        return complain(error)
    return 0


def _sweeping() -> bool:
    """Whether this process has begun a multirun."""
    sweeps = sys.modules.get("avrobust.experiments.sweeps")
    return sweeps is not None and sweeps.current is not None
