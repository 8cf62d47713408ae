"""Trains one audio-visual classifier: python train.py fusion=gated_concat."""

import avrobust.cli  # noqa: F401  (first: from here on Ctrl-C ends in one line)

# isort: split
import hydra
from omegaconf import DictConfig

from avrobust.cli.job import job
from avrobust.cli.scripts import run_script

# Nothing heavy is imported here, so that --help and completion answer at once.


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
def main(config: DictConfig) -> None:
    """One training run_script."""
    job("train", config)


if __name__ == "__main__":
    run_script(main)
