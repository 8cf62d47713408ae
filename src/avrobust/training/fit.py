"""Lightning's trainer, set up so that a run can be killed, queued again and gone on with anywhere."""

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, RichProgressBar

from avrobust.experiments.config import build
from avrobust.experiments.runs import Run
from avrobust.tasks.parts import Config, Parts
from avrobust.tracking.loggers import curves
from avrobust.training.lightning import LitClassifier, LitData
from avrobust.training.metrics_file import MetricsFile
from avrobust.utils.console import err


def fit(
    config: Config, parts: Parts, run: Run, lit: LitClassifier, device: torch.device
) -> ModelCheckpoint:
    """Trains, or goes on from the last finished epoch of an interrupted run; the best epoch's checkpoint."""
    folder = run.folder / "training"
    # Saved when the epoch is over, its metrics included, so that a resumed run repeats whole epochs
    # alone.
    best = ModelCheckpoint(
        folder,
        "best",
        monitor="val/accuracy",
        mode="max",
        save_on_train_epoch_end=True,
        save_weights_only=True,
    )
    # Not save_last=True of the other: that is saved only when the accuracy is the best so far.
    latest = ModelCheckpoint(
        folder, "last", save_on_train_epoch_end=True, enable_version_counter=False
    )
    bars: list[Callback] = [RichProgressBar(leave=False)] if err.is_terminal else []
    data = LitData(
        parts.data,
        batch_size=parts.recipe.batch_size,
        eval_batch_size=parts.batch_size,
        workers=config["workers"],
        seed=config["seed"],
    )
    last = folder / "last.ckpt"
    with _quiet_lightning(), curves(config, run) as followed:
        trainer: pl.Trainer = build("trainer", config["trainer"])(
            **_devices(config, device),
            max_epochs=parts.recipe.epochs,
            callbacks=[best, latest, *bars, *_signals(config)],
            plugins=_environment(config),
            logger=[MetricsFile(run.folder / "metrics.csv"), *followed],
            enable_progress_bar=bool(bars),
            enable_model_summary=False,
            use_distributed_sampler=False,
            deterministic="warn",
            benchmark=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
        trainer.fit(lit, data, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
    return best


def _devices(config: Config, device: torch.device) -> dict[str, Any]:
    """A leased GPU in the place of the first one."""
    leased = device.type == "cuda" and config["side_by_side"]
    return {"accelerator": "gpu", "devices": [device.index]} if leased else {}


def _environment(config: Config) -> list[ClusterEnvironment]:
    """Hides Slurm from Lightning where one device trains; there is nothing to distribute.

    Lightning would refuse an allocation of several tasks, and answer SIGUSR1 with a checkpoint in
    the working folder, which any other run that starts there would then go on from. Queueing a job
    again is submitit's work.
    """
    return [LightningEnvironment()] if _on_one_device(config) else []


def _signals(config: Config) -> list[Callback]:
    return [SigtermAsBefore()] if _on_one_device(config) else []


def _on_one_device(config: Config) -> bool:
    return bool(config["trainer"].get("devices") == 1)


@final
class SigtermAsBefore(Callback):
    """Keeps Lightning from answering SIGTERM, which it does by ending the process with status 0.

    Slurm warns a job of its preemption by SIGTERM and queues it again after killing it; but a job
    that ends by itself in between counts as completed, and its sweep waits in vain for the result.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        signal.signal(signal.SIGTERM, self.handler)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Leaves out Lightning's advertisements and the advice that does not apply here."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*does not have many workers"
        )  # clips load fast enough without
        warnings.filterwarnings(
            "ignore", message=".*exists and is not empty"
        )  # wanted: a resumed run
        warnings.filterwarnings(
            "ignore", message="The `srun` command is available"
        )  # nor need it be used
        warnings.filterwarnings(
            "ignore", message=".*LeafSpec.*is deprecated"
        )  # Lightning 2.6 on torch 2.11
        yield
