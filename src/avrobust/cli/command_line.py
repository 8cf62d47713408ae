"""The words after train.py, attack.py and defend.py, checked before Hydra sees them.

Hydra answers some mistakes over many lines, and takes others without a word: a list where one
option is wanted, a folder of its own, keys that nothing reads.
"""

import os
import unicodedata
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from avrobust.cli.help import groups_of
from avrobust.cli.own_options import configs_of, own_folder
from avrobust.errors import UserError, did_you_mean
from avrobust.experiments.schema import SCHEMAS

# What of Hydra's own settings is left to the user. Runs keep their own folders, so that another
# folder of Hydra's would be made and left empty.
HYDRA_KEYS = (
    "hydra/launcher",
    "hydra.launcher",
    "hydra.sweeper.params",
    "hydra.searchpath",
    "hydra.mode",
    "hydra.verbose",
    "hydra.job.env_set",
    "hydra.job.env_copy",
)
AXES = ("hydra/launcher", "hydra.sweeper.params")  # with them a multirun needs no other axis
SOURCES = ("file://", "pkg://")  # how an entry of hydra.searchpath begins
# Places of the config that no key of a script's schema names.
OTHER_PLACES = ("condition", "_global_")


def check_command_line(script: Path, words: Sequence[str]) -> None:
    """Refuses flags and overrides that cannot be meant.

    Args:
        script: train.py, attack.py or defend.py.
        words: what follows it.

    Raises:
        UserError: a word is wrong.
    """
    for word in words:
        _check_characters(word)
    flags = _parse_flags(words)
    _check_flags(script, flags)
    own_folder(script, words)  # refuses a wrong one
    parsed = [_parse(word) for word in flags.overrides]
    groups, keys = groups_of(script), [field.name for field in fields(SCHEMAS[script.stem])]
    for override in parsed:
        key = override.key_or_group
        if override.is_hydra_override() or key.partition(".")[0] == "hydra":
            _check_hydra_key(script, override)
        else:
            _check_place(override, keys)
        if f"{key}@{override.package}" in groups or (key in groups and override.package is None):
            _check_choice(override, groups, configs_of(script))
        elif override.is_delete() and key in keys:
            raise UserError(f"~{key}: a key cannot be removed; set it by {key}=VALUE")
    if flags.multirun or "hydra.mode=MULTIRUN" in flags.overrides:
        _check_axes(parsed)


def without_null_choices(script: Path, words: Sequence[str]) -> list[str]:
    """The words without `experiment=null` and its like, and without what these take back.

    Hydra takes no null as the choice of a group, not even where null is the default.

    Args:
        script: train.py, attack.py or defend.py.
        words: what follows it, checked.
    """
    groups = groups_of(script)
    overrides = set(_parse_flags(words).overrides)
    kept: list[tuple[str, str]] = []
    for word in words:
        group = ""
        if word in overrides:
            override = _parse(word)
            key, place = override.key_or_group, override.package
            group = f"{key}@{place}" if place else key
            optional = group in groups and groups[group] is None
            if optional and not override.is_delete() and override.value() is None:
                kept = [(other, text) for other, text in kept if other != group]
                continue
        kept.append((group, word))
    return [word for _, word in kept]


def _check_characters(word: str) -> None:
    for character in word:
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise UserError(f"{word!r}: has the character {character!r}, which no value may have")


def _parse_flags(words: Sequence[str]) -> Namespace:
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message.removeprefix('argument ')} (see --help)")

    parser.error = refuse  # type: ignore[method-assign]
    return parser.parse_args(list(words))


def _check_flags(script: Path, flags: Namespace) -> None:
    if flags.experimental_rerun is not None:
        raise UserError(
            "--experimental-rerun: reads a pickle, which may run any code; repeat the command"
        )
    if flags.config_path is not None:
        raise UserError(
            f"--config-path {flags.config_path}: the options stand in configs/; "
            "--config-dir FOLDER adds your own"
        )
    if flags.config_name not in (None, script.stem):
        raise UserError(
            f"--config-name {flags.config_name}: {script.name} has one config, {script.stem}; "
            "--config-dir FOLDER adds options of your own"
        )
    shows = {
        "--cfg": flags.cfg,
        "--info": flags.info,
        "--multirun": flags.multirun,
        "--run": flags.run,
        "--shell-completion": flags.shell_completion,
    }
    chosen = [flag for flag, value in shows.items() if value]
    if len(chosen) > 1:
        raise UserError(f"{' and '.join(chosen)}: only one of them at a time")
    for flag, value in {"--resolve": flags.resolve, "--package": flags.package}.items():
        if value and flags.cfg is None:
            raise UserError(f"{flag}: works with --cfg alone, for example --cfg job {flag}")


def _parse(word: str) -> Override:
    try:
        (override,) = OverridesParser.create().parse_overrides([word])
    except HydraException as error:
        reason = str(error).partition("See https://")[0]
        raise UserError(
            f"{word}: cannot be read as key=value ({' '.join(reason.split())}); a value with "
            "special characters is quoted twice, as in \"name='a, b'\""
        ) from None
    if not override.key_or_group:
        raise UserError(f"{word}: names no key; write key=value")
    return override


def _check_hydra_key(script: Path, override: Override) -> None:
    key = override.key_or_group
    if override.is_delete() or not any(
        key == allowed or key.startswith(f"{allowed}.") for allowed in HYDRA_KEYS
    ):
        raise UserError(
            f"{key}: cannot be set here; runs=FOLDER is where runs are kept; of Hydra's keys there "
            f"are {', '.join(HYDRA_KEYS)}"
        )
    if key == "hydra.sweeper.params" and not isinstance(override.value(), dict):
        raise UserError(f"{override.input_line}: must be a mapping of keys to their values")
    if key == "hydra.searchpath":
        _check_search_path(override.value())
    if key == "hydra.verbose" and not isinstance(override.value(), bool):
        raise UserError(f"{override.input_line}: must be true or false")
    if key == "hydra.job.env_set":
        raise UserError(f"{key}: is set name by name: +{key}.NAME=VALUE")
    if key == "hydra.job.env_copy":
        _check_variables(override)
    if key == "hydra/launcher":
        _check_option_name(key, override, configs_of(script))


def _check_variables(override: Override) -> None:
    """Refuses to copy environment variables that are not set."""
    names: Any = override.value()
    if not isinstance(names, list):
        raise UserError(f"{override.input_line}: must be a list of environment variables")
    for name in map(str, names):
        if name not in os.environ:
            raise UserError(f"hydra.job.env_copy={name}: no such environment variable")


def _check_search_path(folders: object) -> None:
    if not isinstance(folders, list):
        raise UserError(f"hydra.searchpath={folders}: must be a list of folders")
    for folder in folders:
        if not str(folder).startswith(SOURCES):
            raise UserError(f"hydra.searchpath={folder}: must begin with file:// or pkg://")
        path = str(folder).removeprefix("file://")
        if str(folder).startswith("file://") and not Path(path).is_dir():
            raise UserError(f"hydra.searchpath={folder}: no such folder")
        package = str(folder).removeprefix("pkg://")
        if package != folder and find_spec(package.partition(".")[0]) is None:
            raise UserError(f"hydra.searchpath={folder}: no such package")


def _check_place(override: Override, keys: list[str]) -> None:
    """Refuses what no script reads: Hydra itself takes any key after a plus sign.

    Raises:
        UserError: the root of the key, or of the place that an option is put at, is unknown.
    """
    key = override.key_or_group
    root = (override.package or key).partition("/")[0].partition(".")[0].partition("[")[0]
    if root not in (*keys, *OTHER_PLACES):
        raise UserError(f"{override.package or key}: no such key{did_you_mean(root, keys)}")
    if key == "condition" and override.package is None and not override.is_delete():
        raise UserError(
            f"condition={override.value()}: has no place; write +condition@conditions.NAME=OPTION"
        )


def _check_choice(override: Override, groups: Mapping[str, str | None], configs: Path) -> None:
    """Checks the choice of a group: one name, or several names to sweep over."""
    key = override.key_or_group
    group = f"{key}@{override.package}" if override.package else key
    needed = groups[group] is not None
    if override.is_delete():
        if needed:
            raise UserError(f"~{group}: an option of it is needed; choose one by {group}=OPTION")
        return
    if not needed and override.value() is None:
        return
    _check_option_name(group, override, configs)


def _check_option_name(group: str, override: Override, configs: Path) -> None:
    for value in _values(override):
        if isinstance(value, list) and value:
            raise UserError(
                f"{group}={_text(value)}: is a list, and one option is wanted; "
                f"several are a sweep: -m {group}={','.join(map(str, value))}"
            )
        if not isinstance(value, str | dict) or not value:
            names = sorted(path.stem for path in (configs / group.partition("@")[0]).glob("*.yaml"))
            raise UserError(
                f"{group}={_text(value)}: is not the name of an option; choices: {', '.join(names)}"
            )


def _text(value: object) -> str:
    """A value as it is typed."""
    return "null" if value is None else str(value).replace("'", "").replace(" ", "")


def _values(override: Override) -> Iterator[object]:
    """The values of an override: one, or those of a choice sweep; none of a range or pattern."""
    value: Any = override.value()
    if not override.is_sweep_override():
        yield value
    elif isinstance(values := getattr(value, "list", None), list):
        for item in values:
            yield Override._convert_value(item)


def _check_axes(overrides: Sequence[Override]) -> None:
    """Refuses a multirun of nothing; one job may be meant where a launcher is chosen."""
    for override in overrides:
        key = override.key_or_group
        if override.is_sweep_override() or key == "sweep" or key.startswith(AXES):
            return
    words = " ".join(str(override.input_line) for override in overrides)
    raise UserError(
        f"--multirun {words}: no key has several values; write -m key=a,b, or leave --multirun away"
    )
