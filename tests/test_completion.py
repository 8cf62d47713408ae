"""What the shell offers after python attack.py."""

import os
import subprocess
import sys

import pytest
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.bash_completion import BashCompletion
from hydra.core.global_hydra import GlobalHydra

from avrobust.cli.completion import hasten_completion
from tests.support import CONFIGS, PROJECT


def completed(line: str) -> list[str]:
    env = {**os.environ, "COMP_LINE": f"python attack.py {line}", "PYTHONWARNINGS": "default"}
    command = [sys.executable, str(PROJECT / "attack.py"), "-sc", "query=bash"]
    return subprocess.run(
        command, env=env, capture_output=True, text=True, check=True
    ).stdout.split()


def test_groups_and_keys_options_and_values_are_completed() -> None:
    assert {"fusion=", "attack=", "eps=", "training."} <= set(completed(""))
    assert completed("attack=fgsm fusion=gated_") == ["fusion=gated_concat", "fusion=gated_sum"]
    assert completed("training.ep") == ["training.epochs="]


def test_the_primary_config_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    create = ConfigLoaderImpl._parse_overrides_and_create_caching_repo

    def noting(loader: ConfigLoaderImpl, config_name: str | None, overrides: list[str]) -> object:
        read.append(config_name)
        return create(loader, config_name, overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "_parse_overrides_and_create_caching_repo", noting)
    hasten_completion()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS)):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        offered = BashCompletion(hydra.config_loader)._query("attack", "")
    assert {"fusion=", "eps="} <= set(offered)
    assert read == ["attack"]
