"""The checkpoints of a training: each is whole or absent, and one before the last is kept.

training/  last.ckpt  previous.ckpt  best-<epoch>.ckpt

Each says which training it is of (`ORIGIN`). `training/resuming.py` decides which one is gone on
from.
"""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import CheckpointIO
from pytorch_lightning.callbacks import Checkpoint

from avrobust.training.metrics_file import MetricsFile
from avrobust.utils.files import atomic_write

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
ORIGIN = "origin"  # key of a checkpoint


def write_checkpoint(state: Mapping[str, Any], path: Path) -> None:
    """Writes a checkpoint whole or not at all, also where the power fails or the disk is full.

    Args:
        state: plain values and tensors alone, so that it loads with `weights_only=True`.
        path: of the file. Its folder must exist.

    Raises:
        OSError: the file cannot be written. `torch.save` on a path raises RuntimeError instead.
    """
    content = io.BytesIO()
    torch.save(state, content)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        file.write(content.getbuffer())
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


class Origin(NamedTuple):
    """What a training is of. Its checkpoints belong to no training of another origin.

    Attributes:
        run_id: of the training run.
        sources: the fingerprint of the code of each option.
        weights: the hash of each checkpoint of the stages before, by its run.
    """

    run_id: str
    sources: Mapping[str, str]
    weights: Mapping[str, str]


@final
class AtomicCheckpointIO(CheckpointIO):
    """Lightning's way to files. Its own goes through the temporary folder and is not atomic.

    Args:
        origin: of the training, which every checkpoint then says.
    """

    def __init__(self, origin: Origin) -> None:
        self.origin = origin

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        write_checkpoint({**checkpoint, ORIGIN: self.origin._asdict()}, Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)


@final
class EpochCheckpoints(Checkpoint):
    """After each epoch writes metrics.csv, the best epoch's weights and the whole state.

    Lightning calls a `Checkpoint` when everything of an epoch is logged, so that a resumed run
    repeats whole epochs alone. metrics.csv comes before the state: a kill between the two repeats
    an epoch, and its row with it.

    Attributes:
        best_epoch: counted from 0; None before the first epoch ends.

    Args:
        folder: of the checkpoints.
        monitor: the logged value whose maximum makes the best epoch; of equal ones the first.
        metrics: the file metrics.csv.
    """

    def __init__(self, folder: Path, monitor: str, metrics: MetricsFile) -> None:
        self.folder, self.monitor, self.metrics = folder, monitor, metrics
        self.best_epoch: int | None = None
        self.best_value = -float("inf")

    @property
    def best(self) -> Path:
        """The best epoch's weights."""
        return best_path(self.folder, self.best_epoch)

    def state_dict(self) -> dict[str, Any]:
        return {
            "best_epoch": self.best_epoch,
            "best_value": self.best_value,
            "rows": self.metrics.rows,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_epoch, self.best_value = state_dict["best_epoch"], state_dict["best_value"]
        self.metrics.rows = state_dict["rows"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch, logged = trainer.current_epoch, trainer.callback_metrics
        best_before, last = self.best_epoch, self.folder / LAST
        if trainer.is_global_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.metrics.add(epoch, {name: float(value) for name, value in logged.items()})
        if best_before is None or float(logged[self.monitor]) > self.best_value:
            self.best_epoch, self.best_value = epoch, float(logged[self.monitor])
            trainer.save_checkpoint(self.best, weights_only=True)
        if trainer.is_global_zero and last.is_file():
            last.replace(self.folder / PREVIOUS)
        trainer.save_checkpoint(last)
        if trainer.is_global_zero:
            self._remove_best_but(best_before, self.best_epoch)

    def _remove_best_but(self, *epochs: int | None) -> None:
        """Removes the best weights that neither of the two states needs."""
        needed = {best_path(self.folder, epoch) for epoch in epochs}
        for path in self.folder.glob("best-*.ckpt"):
            if path not in needed:
                path.unlink(missing_ok=True)


def best_path(folder: Path, epoch: int | None) -> Path:
    """The weights of an epoch that was the best when it ended."""
    return folder / f"best-{epoch}.ckpt"
