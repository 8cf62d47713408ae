"""One line for every mistake that Hydra, OmegaConf or the file system reports."""

import errno
import re
import sys
import traceback
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from avrobust.cli.interrupts import end_interrupted, interrupted
from avrobust.errors import UserError, did_you_mean

MISTAKES = (UserError, HydraException, OmegaConfBaseException, OSError)
LONGEST_WORD = 200  # characters of a word that a message repeats whole

UNKNOWN_OPTION = re.compile(
    r"Could not find '([^']+)/([^'/]+)'\s+Available options in '[^']+':\s+(.*)", re.DOTALL
)
SEVERAL_VALUES = re.compile(r"Ambiguous value for argument '([^']*)'")


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
    if several := SEVERAL_VALUES.search(text):
        return f"{several[1]}: has several values; -m sweeps over them, key=[a,b] is a list"
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


def is_mistake(error: BaseException) -> bool:
    """Whether an exception is the user's mistake, by its type or by where it arose.

    Hydra and Lightning raise plain ValueError and the like for wrong values. What arises in our own
    code, or in what it calls, is a defect of ours, and is to be seen with its traceback.
    """
    if isinstance(error, MISTAKES):
        return True
    if type(error).__module__.startswith(("pytorch_lightning.", "lightning_fabric.")):
        return type(error).__name__ == "MisconfigurationException"
    return _arose_in_hydra(error)


def _arose_in_hydra(error: BaseException) -> bool:
    """Whether Hydra itself raised, before any of our own code was called."""
    modules = []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        modules.append(str(frame.f_globals.get("__name__", "")))
    entered = [i for i, module in enumerate(modules) if module.partition(".")[0] == "hydra"]
    ours = [i for i, module in enumerate(modules) if module.startswith("avrobust.")]
    return bool(entered) and max(ours, default=-1) < entered[0]


def complain(error: BaseException) -> int:
    """Writes a mistake as one line on standard error; the exit status."""
    if interrupted():  # it may have arisen from Ctrl-C in the middle of an import
        return end_interrupted()
    sys.stderr.write(f"{Path(sys.argv[0]).name}: {one_line(explain(error))}\n")
    return 2


def one_line(text: str) -> str:
    """A message in one line that a terminal shows as it is, its longest words cut."""
    words = []
    for word in text.split():
        shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in word)
        if len(shown) > LONGEST_WORD:
            shown = f"{shown[: LONGEST_WORD // 2]}...({len(shown)} characters)"
        words.append(shown)
    return " ".join(words)
