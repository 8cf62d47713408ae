"""Trains a defended audio-visual classifier and attacks it adaptively: python defend.py defense=minsim."""

import hydra
from omegaconf import DictConfig

from avrobust.cli.job import job
from avrobust.cli.scripts import run

# Nothing heavy is imported up here, so that --help and completion answer at once.


@hydra.main(version_base="1.3", config_path="configs", config_name="defend")
def main(config: DictConfig) -> None:
    """One row of Table 3: trains the defended and the undefended model first if no finished run matches."""
    job("defend", config)


if __name__ == "__main__":
    run(main)
