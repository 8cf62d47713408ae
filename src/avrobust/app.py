"""What the scripts share: starting Hydra, and turning every user's mistake into one line and exit status 2."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from avrobust.errors import UserError, did_you_mean
from avrobust.schema import register

register()

GROUPS = ("dataset", "audio", "visual", "fusion", "attack", "threat", "trainer", "logger", "experiment", "sweep")


def run(main: Callable[[], Any]) -> None:
    """Runs a Hydra main; a user's mistake ends in one line on standard error and exit status 2."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it would print over many lines
    try:
        main()
    except (UserError, HydraException, OmegaConfBaseException, OSError) as error:
        _refuse(error)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on from the last finished epoch\n")
        sys.exit(130)


def job(task: Callable[[dict[str, Any]], object], config: DictConfig) -> None:
    """Runs one task on the resolved and checked config."""
    from avrobust.config import plain

    hydra = HydraConfig.get()
    choices = {group: hydra.runtime.choices.get(group) for group in GROUPS}
    try:
        task({**plain(config), "choices": {group: choice for group, choice in choices.items() if choice}})
    except UserError as error:
        if hydra.mode == RunMode.MULTIRUN:
            raise  # the other jobs go on; Hydra names this one's overrides at the end
        _refuse(error)


def _refuse(error: BaseException) -> NoReturn:
    sys.stderr.write(f"{Path(sys.argv[0]).name}: {explain(error)}\n")
    sys.exit(2)


def explain(error: BaseException) -> str:
    """One line that says what was wrong and what the choices are."""
    text = str(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}; can it be read and written, and is runs= the folder you want?"
    for reason in (error, error.__cause__):
        if isinstance(reason, OmegaConfBaseException) and isinstance(reason.parent_node, DictConfig):
            return _explain_key(reason, reason.parent_node, text)
    option = re.search(r"Could not find '([^']+)/([^'/]+)'\s+Available options in '[^']+':\s+(.*)", text, re.DOTALL)
    if option:
        group, name, choices = option.groups()
        return (
            f"{group}={name}: no such option; choices: {', '.join(choices.partition('Config search path')[0].split())}"
        )
    return " ".join(text.split())


def _explain_key(reason: OmegaConfBaseException, parent: DictConfig, text: str) -> str:
    if reason.key not in parent:
        names = [str(name) for name in parent if name != "hydra" and not str(name).startswith("_")]
        return f"{reason.full_key}: no such key{did_you_mean(str(reason.key), names)}"
    given = re.search(r"override (\S+)", text)
    message = str(reason.msg).partition("full_key")[0]
    return f"{given[1] if given else reason.full_key}: {' '.join(message.split())}"
