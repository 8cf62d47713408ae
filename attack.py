"""Attacks one audio-visual classifier: python attack.py fusion=concat attack=pgd eps=0.006."""

import avrobust.cli  # noqa: F401  (first: from here on Ctrl-C ends in one line)

# isort: split
import hydra
from omegaconf import DictConfig

from avrobust.cli.job import job
from avrobust.cli.scripts import run_script

# Nothing heavy is imported here, so that --help and completion answer at once.


@hydra.main(version_base="1.3", config_path="configs", config_name="attack")
def main(config: DictConfig) -> None:
    """One row of a table. Trains the model first if no finished run_script matches."""
    job("attack", config)


if __name__ == "__main__":
    run_script(main)
