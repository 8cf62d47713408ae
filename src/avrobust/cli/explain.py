"""One line for every mistake that Hydra, OmegaConf or the file system reports."""

import errno
import re
import sys
from pathlib import Path

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from avrobust.cli.interrupts import end_interrupted, interrupted
from avrobust.errors import did_you_mean

UNKNOWN_OPTION = re.compile(
    r"Could not find '([^']+)/([^'/]+)'\s+Available options in '[^']+':\s+(.*)", re.DOTALL
)


def explain(error: BaseException) -> str:
    """One line that says what was wrong and what the choices are."""
    text = str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{error.filename or 'writing'}: {error.strerror}; make room, then the same command "
            "goes on from what is finished"
        )
    if isinstance(error, OSError) and error.filename:
        return (
            f"{error.filename}: {error.strerror}; can it be read and written, and is runs= the "
            "folder you want?"
        )
    # Hydra wraps the error of OmegaConf that names the key.
    for reason in (error, error.__cause__):
        parent = getattr(reason, "parent_node", None)
        if isinstance(reason, OmegaConfBaseException) and isinstance(parent, DictConfig):
            return _explain_key(reason, parent, text)
    option = UNKNOWN_OPTION.search(text)
    if option:
        group, name, rest = option.groups()
        choices, _, _ = rest.partition("Config search path")
        return f"{group}={name}: no such option; choices: {', '.join(choices.split())}"
    return " ".join(text.split())


def _explain_key(reason: OmegaConfBaseException, parent: DictConfig, text: str) -> str:
    """What is wrong with a key, or with its value."""
    if reason.key not in parent:
        names = [str(name) for name in parent if name != "hydra" and not str(name).startswith("_")]
        return f"{reason.full_key}: no such key{did_you_mean(str(reason.key), names)}"
    override = re.search(r"override (\S+)", text)
    message, _, _ = str(reason.msg).partition("full_key")
    return f"{override[1] if override else reason.full_key}: {' '.join(message.split())}"


def complain(error: BaseException) -> int:
    """Writes a mistake as one line on standard error; the exit status."""
    if interrupted():  # it may have arisen from Ctrl-C in the middle of an import
        return end_interrupted()
    sys.stderr.write(f"{Path(sys.argv[0]).name}: {explain(error)}\n")
    return 2
