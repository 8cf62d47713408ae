"""The root of the configs: its keys and their types.

This module imports nothing heavy, so that --help answers at once.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from avrobust.training.recipe import Recipe


@dataclass
class TrainConfig:
    """Keys of `python train.py`.

    Groups are checked against the signature of what they build (see `config`).
    """

    dataset: Any = MISSING
    audio: Any = MISSING
    visual: Any = MISSING
    fusion: Any = MISSING
    defense: Any = MISSING
    training: Recipe = field(default_factory=Recipe)
    trainer: Any = MISSING
    logger: Any = None
    seed: int = 0
    runs: str = "runs"  # where results go
    name: str | None = None  # a label of your own, kept in the result
    tags: list[str] = field(default_factory=list)
    force: bool = False  # do it again even if a finished run is there
    stale: str = "again"  # a finished run of code that has changed since: again, or show it marked
    workers: int = 0  # processes that load clips beside the main one
    batch_size: Any = 32  # of evaluation, or auto: what memory allows; changes no number
    jobs_per_gpu: int = 1  # of a sweep with hydra/launcher=joblib
    # Packages of your own whose classes may be built: allow=[my_lab]. Read from the command line
    # alone (cli/allowed.py), as a config file or a run may be a stranger's.
    allow: Any = field(default_factory=list)
    max_jobs: int = 10_000  # of a sweep; a larger one is refused
    experiment: Any = None
    sweep: Any = None


@dataclass
class SourceConfig:
    """In what the model that clips are made on differs from the attacked one; null: in nothing."""

    audio: Any = None
    visual: Any = None
    fusion: Any = None
    defense: Any = None
    seed: int | None = None


@dataclass
class AttackConfig(TrainConfig):
    """Keys of `python attack.py`."""

    attack: Any = MISSING
    threat: Any = MISSING
    # A number or a fraction such as 8/255, in the units of the threat.
    eps: Any = 0.006
    # Whose clips are attacked.
    split: str = "test"
    # So many of them, drawn by their names, the same ones for every run; null: all.
    clips: int | None = None
    # The wrong class that the attacker wants: least_likely, random, next; null: any.
    target: str | None = None
    # Conditions beside clean and the attacks, by name: options of the group `condition`.
    conditions: dict[str, Any] = field(default_factory=dict)
    # Another model that the clips are made on.
    source: SourceConfig = field(default_factory=SourceConfig)
    # bfloat16 where torch deems it safe; it may turn a few verdicts, see docs/speed.md.
    amp: bool = False
    # torch.compile for the encoders; it pays on long attacks.
    compile: bool = False
    # Clips that a run keeps as attacked, to look at and listen to in the report.
    examples: int = 4


@dataclass
class DefendConfig(AttackConfig):
    """Keys of `python defend.py`."""

    # The objectives of the attack: the worst of all that the defense declares, or the paper's.
    adaptive: str = "worst"


SCHEMAS: dict[str, type[TrainConfig]] = {
    "train": TrainConfig,
    "attack": AttackConfig,
    "defend": DefendConfig,
}  # by script


def register() -> None:
    """Makes the schemas known to Hydra under the names that the primary configs list."""
    store = ConfigStore.instance()
    for script, schema in SCHEMAS.items():
        store.store(name=f"{script}_schema", node=schema)
