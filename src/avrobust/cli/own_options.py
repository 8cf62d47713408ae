"""The folder of options that a project of one's own adds: `--config-dir my_lab/configs`."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from avrobust.errors import UserError

# What a sweep's file sets of Hydra's own settings.
HYDRA_SETTINGS = {"mode", "sweeper"}
PACKAGE = re.compile(r"^#\s*@package\s+(\S+)", re.MULTILINE)
FLAGS = ("--config-dir", "-cd")


def configs_of(script: Path) -> Path:
    """The folder of this repository's options, beside its scripts."""
    return script.resolve().with_name("configs")


def own_folder(script: Path, arguments: Sequence[str]) -> Path | None:
    """The folder of one's own options that a command line names, if it names one.

    Args:
        script: The script that is run.
        arguments: The words after it.

    Raises:
        UserError: The folder is not there, one of its options has the name of an option of this
            repository, which Hydra would take instead without a word, or sets what of Hydra's own
            settings could run any code.
    """
    name = named_folder(arguments)
    if name is None:
        return None
    folder = Path(name).absolute()
    if not folder.is_dir():
        raise UserError(f"--config-dir {name}: no such folder")
    for path in sorted(folder.rglob("*.yaml")):
        known = configs_of(script) / path.relative_to(folder)
        if known.exists():
            raise UserError(
                f"{path}: {known} has the same name and would be used instead; rename yours"
            )
        _refuse_hydra_settings(path, folder)
    return folder


def _refuse_hydra_settings(path: Path, folder: Path) -> None:
    """Refuses a file that sets more of Hydra's own settings than an option has to.

    Hydra's callbacks, loggers and environment variables can run any code and allow any package.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    package = PACKAGE.search(text)
    names = [path.relative_to(folder).parts[0], package[1].split(".")[0] if package else ""]
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return  # Hydra says where
    settings = set()
    if isinstance(content, dict):
        for key, value in content.items():
            first, _, rest = str(key).partition(".")
            if first == "hydra":
                settings |= {rest} if rest else set(value) if isinstance(value, dict) else {key}
    if "hydra" in names or not settings <= HYDRA_SETTINGS:
        allowed = ", ".join(sorted(f"hydra.{name}" for name in HYDRA_SETTINGS))
        raise UserError(f"{path}: of Hydra's own settings it may have {allowed} alone")


def named_folder(arguments: Sequence[str]) -> str | None:
    """What follows `--config-dir` among the words of a command line."""
    for i, word in enumerate(arguments):
        flag, equals, value = word.partition("=")
        if flag in FLAGS and equals:
            return value
        if flag in FLAGS and i + 1 < len(arguments):
            return arguments[i + 1]
    return None
