"""What the scripts share: starting Hydra, and turning every user's mistake into one line and exit status 2."""

import os
import re
import sys
from collections.abc import Callable
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from avrobust.errors import UserError
from avrobust.schema import register

register()

GROUPS = ("dataset", "audio", "visual", "fusion", "attack", "threat", "trainer", "logger", "experiment", "sweep")


def run(main: Callable[[], Any]) -> None:
    """Runs a Hydra main; a user's mistake ends in one line on standard error and exit status 2."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it would print over many lines
    try:
        main()
    except (UserError, HydraException, OmegaConfBaseException, OSError) as error:
        sys.stderr.write(f"{os.path.basename(sys.argv[0])}: {explain(error)}\n")  # noqa: PTH119 - a name, not a path
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on from the last finished epoch\n")
        sys.exit(130)


def job(task: Callable[[dict[str, Any]], object], config: DictConfig) -> None:
    """Runs one task on the resolved and checked config."""
    from avrobust.config import plain

    hydra = HydraConfig.get()
    choices = {group: hydra.runtime.choices.get(group) for group in GROUPS}
    task({**plain(config), "choices": {group: choice for group, choice in choices.items() if choice}})


def explain(error: BaseException) -> str:
    """One line that says what was wrong and what the choices are."""
    text = str(error)
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
        return _explain_key(text, cause)
    if isinstance(error, OmegaConfBaseException) and isinstance(error.parent_node, DictConfig):
        return _explain_key(text, error)
    option = re.search(r"Could not find '([^']+)/([^'/]+)'\s+Available options in '[^']+':\s+(.*)", text, re.DOTALL)
    if option:
        group, name, choices = option.groups()
        return f"{group}={name}: no such option; choices: {', '.join(choices.split())}"
    return " ".join(text.split())


def _explain_key(text: str, error: OmegaConfBaseException) -> str:
    key = str(error.full_key)
    parent = error.parent_node
    assert isinstance(parent, DictConfig)
    if error.key not in parent:
        names = [str(name) for name in parent if not str(name).startswith("_")]
        return f"{key}: no such key; choices: {', '.join(names)}"
    return f"{key}: {' '.join(text.split('full_key')[0].split())}"
