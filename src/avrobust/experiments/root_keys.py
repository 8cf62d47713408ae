"""Checks of the root of a config: its keys, the folder of runs, and the labels of a run."""

import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from avrobust.errors import UserError, did_you_mean
from avrobust.experiments.schema import SCHEMAS, SourceConfig
from avrobust.experiments.settings import Task
from avrobust.training.recipe import Recipe

LONGEST_LABEL = 64  # characters of a name or tag; W&B takes no longer tag


def check_runs(runs: str) -> None:
    """Refuses a folder of runs in which nothing can be written.

    Raises:
        UserError: the name is empty or too long, or its nearest folder cannot be written to.
    """
    if not runs.strip():
        raise UserError(f"runs={runs}: is empty; give a folder, such as runs=runs")
    nearest = Path(runs).absolute()
    try:
        while not nearest.exists():
            nearest = nearest.parent
    except OSError as error:
        raise UserError(f"runs={runs}: {error.strerror}") from None
    if not nearest.is_dir():
        raise UserError(f"runs={runs}: {nearest} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"runs={runs}: nothing can be written in {nearest}")


def check_keys(task: Task, config: DictConfig) -> None:
    """Refuses keys that the schema does not have, and a schema's key that is gone.

    Hydra takes any key after a plus sign, and removes any after a tilde.

    Raises:
        UserError: a key is unknown or missing.
    """
    schemas: dict[str, tuple[Any, type]] = {"": (config, SCHEMAS[task])}
    schemas["training."] = (config.get("training"), Recipe)
    if task != "train":
        schemas["source."] = (config.get("source"), SourceConfig)
    for prefix, (node, schema) in schemas.items():
        names = [field.name for field in fields(schema)]
        if not isinstance(node, DictConfig):
            raise UserError(f"{prefix[:-1]}={node!s}: must have the keys {', '.join(names)}")
        for key in node:
            if key not in names:
                unknown = str(key)
                raise UserError(f"{prefix}{unknown}: no such key{did_you_mean(unknown, names)}")
        for name in names:
            if name not in node:
                raise UserError(f"{prefix}{name}: is missing; give {prefix}{name}=VALUE")


def check_max_jobs(limit: object) -> None:
    """Refuses a limit that no multirun can keep.

    Raises:
        UserError: it is less than 1.
    """
    if type(limit) is not int or limit < 1:
        raise UserError(f"max_jobs={limit}: must be an integer of at least 1")


def check_name_and_tags(name: str | None, tags: Sequence[str]) -> None:
    """Refuses labels that no table can show.

    Raises:
        UserError: the name or a tag is too long.
    """
    for key, labels in (("name", [name or ""]), ("tags", tags)):
        for label in labels:
            if len(str(label)) > LONGEST_LABEL:
                raise UserError(
                    f"{key}={str(label)[:20]}...: has {len(str(label)):,} characters; at most "
                    f"{LONGEST_LABEL}"
                )
