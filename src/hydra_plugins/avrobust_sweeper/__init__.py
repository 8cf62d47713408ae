"""Hydra's basic sweeper, but each job's config is composed once.

Hydra composes every config before the first job, to refuse wrong overrides, and again when the job
starts. Composing is most of what a finished job takes.
"""

from collections.abc import Sequence
from typing import Any, final

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore


@final
class OnceSweeper(BasicSweeper):
    """Keeps the composed configs for the launcher, if the launcher composes in this process."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Composes every job, so that a wrong override ends the sweep before it begins."""
        # Compared by name, as Hydra may load the modules of its plugins twice.
        if type(self.launcher).__name__ != "BasicLauncher":
            super().validate_batch_is_legal(batch)
            return
        assert self.hydra_context is not None
        assert self.config is not None
        loader = self.hydra_context.config_loader
        compose = loader.load_sweep_config
        composed = {}
        for job in batch:
            composed[tuple(job)] = compose(self.config, list(job))

        def load(master: Any, overrides: list[str]) -> Any:
            # A config is handed out once: a job may change its own.
            return composed.pop(tuple(overrides), None) or compose(master, overrides)

        loader.load_sweep_config = load  # type: ignore[method-assign, assignment]


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="once",
    node={
        "_target_": "hydra_plugins.avrobust_sweeper.OnceSweeper",
        "max_batch_size": None,
        "params": None,
    },
)
