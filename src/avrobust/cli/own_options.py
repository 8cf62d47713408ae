"""The folder of options that a project of one's own adds: `--config-dir my_lab/configs`."""

from collections.abc import Sequence
from pathlib import Path

from avrobust.errors import UserError

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
        UserError: The folder is not there, or one of its options has the name of an option of this
            repository, which Hydra would take instead without a word.
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
    return folder


def named_folder(arguments: Sequence[str]) -> str | None:
    """What follows `--config-dir` among the words of a command line."""
    for i, word in enumerate(arguments):
        flag, equals, value = word.partition("=")
        if flag in FLAGS and equals:
            return value
        if flag in FLAGS and i + 1 < len(arguments):
            return arguments[i + 1]
    return None
