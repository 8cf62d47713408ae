"""Trains a defended classifier and attacks it adaptively: python defend.py defense=minsim."""

import avrobust.cli  # noqa: F401  (first: from here on Ctrl-C ends in one line)

# isort: split
import hydra
from omegaconf import DictConfig

from avrobust.cli.job import job
from avrobust.cli.scripts import run_script

# Nothing heavy is imported here, so that --help and completion answer at once.


@hydra.main(version_base="1.3", config_path="configs", config_name="defend")
def main(config: DictConfig) -> None:
    """One row of Table 3. Trains and attacks the undefended model first if that was not done."""
    job("defend", config)


if __name__ == "__main__":
    run_script(main)
