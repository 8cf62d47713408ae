"""A user's mistake as one line that says what was wrong and what the choices are."""

import re
import sys
from pathlib import Path

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from avrobust.errors import did_you_mean


def complain(error: BaseException) -> int:
    """Writes the mistake as one line on standard error; the exit status."""
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
