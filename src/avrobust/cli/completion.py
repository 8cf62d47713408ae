"""Shell completion by Hydra, faster, and with the options of a project of one's own."""

import os
import sys
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl

from avrobust.cli.own_options import FLAGS, named_folder

READ = "_parse_overrides_and_create_caching_repo"  # Hydra's method that is slow


def prepare_completion() -> None:
    """Makes Hydra's completion fast, and lets it see the options of `--config-dir`."""
    hasten_completion()
    # Hydra looks for options where its own command line says, not where the line to complete does.
    folder = named_folder(os.environ.get("COMP_LINE", "").split())
    if folder and Path(folder).expanduser().is_dir():
        sys.argv += [FLAGS[0], str(Path(folder).expanduser())]


def hasten_completion() -> None:
    """Parses one set of overrides, and reads the primary config, once in this process.

    Hydra's completion does both twice for every group that it lists.
    """
    create = getattr(ConfigLoaderImpl, READ)
    cache: dict[tuple[str | None, tuple[str, ...]], Any] = {}

    def once(loader: ConfigLoaderImpl, config_name: str | None, overrides: list[str]) -> Any:
        key = config_name, tuple(overrides)
        if key not in cache:
            cache[key] = create(loader, config_name, overrides)
        return cache[key]

    setattr(ConfigLoaderImpl, READ, once)
