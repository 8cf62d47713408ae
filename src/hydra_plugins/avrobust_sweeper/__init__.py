"""Hydra's basic sweeper, but each job's config is composed once: tried before the first job, and kept for its own."""

from collections.abc import Sequence
from typing import Any, final

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore


@final
class OnceSweeper(BasicSweeper):
    """Keeps the configs for the launcher where that composes in this process; composing is most of a finished job."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Composes every job, so that a wrong override ends the sweep before it begins."""
        if (
            type(self.launcher).__name__ != "BasicLauncher"
        ):  # by name, as Hydra may load its plugins' modules twice
            super().validate_batch_is_legal(batch)
            return
        assert self.hydra_context is not None
        assert self.config is not None
        loader = self.hydra_context.config_loader
        compose = loader.load_sweep_config
        config = self.config
        kept = {tuple(job): compose(config, list(job)) for job in batch}

        def load(master: Any, overrides: list[str]) -> Any:
            return kept.pop(tuple(overrides), None) or compose(master, overrides)

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
