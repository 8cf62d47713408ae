"""Lightning's trainer, set up so that a run can be killed, queued again and resumed anywhere."""

import logging
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.loggers import Logger

from avrobust.training.checkpoints import AtomicCheckpointIO, EpochCheckpoints, Origin
from avrobust.training.datamodule import LitData
from avrobust.training.metrics_file import MetricsFile
from avrobust.training.module import LitClassifier
from avrobust.training.resuming import resumable, whole_state
from avrobust.training.sync_batch_norm import SyncBatchNorm
from avrobust.utils.console import err

Loggers = Sequence[Logger]


def fit(
    module: LitClassifier,
    data: LitData,
    folder: Path,
    trainer: Callable[..., pl.Trainer],
    *,
    origin: Origin,
    loggers: Loggers,
    one_device: bool,
    leased: torch.device | None = None,
) -> Path:
    """Trains, or goes on from the last finished epoch of an interrupted run.

    Args:
        module: what is trained.
        data: the clips.
        folder: of the run; metrics.csv and the folder `training` with the checkpoints go there.
        trainer: makes Lightning's trainer from the arguments that are not the user's.
        origin: of the training. It goes on from checkpoints of the same origin alone.
        loggers: where else the learning curves go.
        one_device: whether a single device trains.
        leased: the GPU to train on; None leaves that to `trainer`.

    Returns:
        The checkpoint of the best epoch, by `module.monitor`.

    Raises:
        UserError: the training diverged.
        KeyboardInterrupt: Ctrl-C.
    """
    checkpoints = EpochCheckpoints(
        folder / "training", module.monitor, MetricsFile(folder / "metrics.csv")
    )
    show_bar = err.is_terminal
    callbacks: list[Callback] = [checkpoints]
    if show_bar:
        callbacks.append(RichProgressBar(leave=False))
    if one_device:
        callbacks.append(SigtermAsBefore())
    with _quiet_lightning():
        made = trainer(
            **_devices(leased),
            max_epochs=module.recipe.epochs,
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO(origin), _devices_plugin(one_device)],
            logger=list(loggers),
            enable_progress_bar=show_bar,
            enable_model_summary=False,
            use_distributed_sampler=False,
            deterministic="warn",
            benchmark=False,
            num_sanity_val_steps=0,
            inference_mode=False,  # an attack on validation clips needs gradients
            log_every_n_steps=1,
        )
        start = resumable(checkpoints.folder, origin, whole_state(made, module))
        with _ctrl_c(made):
            made.fit(module, data, ckpt_path=start, weights_only=True)
    return checkpoints.best


@contextmanager
def _ctrl_c(trainer: pl.Trainer) -> Iterator[None]:
    """Lets Ctrl-C end the program; Lightning would end it with status 1 and ignore the next one."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _devices(leased: torch.device | None) -> dict[str, Any]:
    """A leased GPU in the place of the first one."""
    return {} if leased is None else {"accelerator": "gpu", "devices": [leased.index]}


def _devices_plugin(one_device: bool) -> LightningEnvironment | SyncBatchNorm:
    """What the number of devices asks for.

    Where one device trains, there is nothing to distribute and Slurm is hidden from Lightning. It
    would refuse an allocation of several tasks, and answer SIGUSR1 with a checkpoint in the working
    folder, which any other run that starts there would then go on from. submitit queues a job
    again.
    """
    return LightningEnvironment() if one_device else SyncBatchNorm()


@final
class SigtermAsBefore(Callback):
    """Keeps Lightning from answering SIGTERM by ending the process with status 0.

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
            "ignore", message=".*training_step. returned .None"
        )  # wanted: a batch whose clips cannot be read
        warnings.filterwarnings(
            "ignore", message="The `srun` command is available"
        )  # nor need it be used
        warnings.filterwarnings(
            "ignore", message=".*LeafSpec.*is deprecated"
        )  # Lightning 2.6 on torch 2.11
        yield
