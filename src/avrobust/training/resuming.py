"""Which checkpoint a training goes on from, and what is set aside because it is none of it."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from torch import Tensor

from avrobust.training.checkpoints import (
    LAST,
    ORIGIN,
    PREVIOUS,
    EpochCheckpoints,
    Origin,
    best_path,
    read_checkpoint,
)
from avrobust.training.metrics_file import COLUMNS, ROBUST
from avrobust.training.module import LitClassifier
from avrobust.utils.console import warn
from avrobust.utils.files import set_aside, zip_problem


class Whole(NamedTuple):
    """What a checkpoint that can be gone on from holds.

    Attributes:
        state: of the training before its first epoch.
        parameters: that the optimizer moves, in its order.
    """

    state: Mapping[str, Any]
    parameters: Sequence[Tensor]


class _Unusable(Exception):
    """Why a checkpoint cannot be used, in one line."""


def whole_state(trainer: pl.Trainer, module: LitClassifier) -> Whole:
    """The parts of a training's state, as its checkpoints hold them.

    Args:
        trainer: that has not begun.
        module: what it will train.
    """
    optimizers: Any = module.configure_optimizers()
    optimizer, schedule = optimizers["optimizer"], optimizers["lr_scheduler"]
    state = {
        "epoch": 0,
        "global_step": 0,
        "state_dict": module.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [schedule.state_dict()],
        "loops": {"fit_loop": trainer.fit_loop.state_dict()},
        "callbacks": {
            EpochCheckpoints.__qualname__: {"best_epoch": 0, "best_value": 0.0, "rows": None}
        },
    }
    parameters = []
    for group in optimizer.param_groups:
        parameters.extend(group["params"])
    return Whole(state, parameters)


def resumable(folder: Path, origin: Origin, whole: Whole) -> Path | None:
    """The checkpoint that a training goes on from; None if it starts.

    What cannot be used is set aside, with one warning, so that the training can write its own.

    Args:
        folder: of the checkpoints.
        origin: of the training.
        whole: from `whole_state`.

    Raises:
        OSError: a file may not be read, or may not be renamed.
    """
    problems: dict[Path, str] = {}
    resumed = None
    for path in (folder / LAST, folder / PREVIOUS):
        if not os.path.lexists(path):
            continue
        problem = _state_problem(path, origin, whole, problems)
        if problem is None:
            resumed = path
            break
        problems[path] = problem
    # These hold no epoch that is needed, but the training could not write in their place.
    for path in (folder / PREVIOUS, *sorted(folder.glob("best-*.ckpt"))):
        if os.path.lexists(path) and not path.is_file():
            problems[path] = "not a file"
    _set_aside(folder, problems, resumed)
    return resumed


def _set_aside(folder: Path, problems: Mapping[Path, str], resumed: Path | None) -> None:
    if not problems:
        return
    named = []
    for path, problem in problems.items():
        set_aside(path)
        named.append(f"{path.name} ({problem})")
    if resumed is None:
        start = "starts again"
    else:
        start = f"goes on from the {'last epoch' if resumed.name == LAST else 'epoch before'}"
    warn(f"{folder}: {', '.join(named)} cannot be used; set aside, the training {start}")


def _state_problem(
    path: Path, origin: Origin, whole: Whole, problems: dict[Path, str]
) -> str | None:
    """Why a training cannot go on from a checkpoint; None if it can.

    Args:
        path: of the checkpoint.
        origin: of the training.
        whole: from `whole_state`.
        problems: takes up the best epoch's weights if they are why.
    """
    try:
        state = _read(path, origin)
        _check(state, whole.state, "")
        _check_progress(state)
        _check_momentum(state, whole.parameters)
    except _Unusable as error:
        return str(error)
    epoch = state["callbacks"][EpochCheckpoints.__qualname__]["best_epoch"]
    best = best_path(path.parent, epoch)
    try:
        weights = _read(best, origin)
        _check(weights, {"epoch": 0, "state_dict": whole.state["state_dict"]}, "")
        if weights["epoch"] != epoch:
            raise _Unusable("of another epoch")
    except _Unusable as error:
        if os.path.lexists(best):
            problems[best] = str(error)
        return f"its {best.name} is {'unusable' if os.path.lexists(best) else 'missing'}"
    return None


def _read(path: Path, origin: Origin) -> dict[str, Any]:
    """The content of a checkpoint of this training."""
    if problem := zip_problem(path):
        raise _Unusable(problem)
    try:
        state = read_checkpoint(path)
        written_for = state.get(ORIGIN)
    except Exception as error:  # torch.load raises many kinds for what it does not permit
        reason = " ".join(str(error).split())[:120]
        raise _Unusable(f"{type(error).__name__}: {reason}") from None
    if not isinstance(written_for, dict):
        raise _Unusable("does not say which training it is of")
    if written_for.get("run_id") != origin.run_id:
        raise _Unusable("of another training")
    if written_for != origin._asdict():
        raise _Unusable("its code or the stage before has changed since")
    return state


def _check(saved: Any, whole: Any, key: str) -> None:
    """Compares a part of a checkpoint with that of a training that begins.

    The keys, the lengths, the shapes and the kinds of values are the same, and values are finite
    where they were at the beginning. The precision of weights is the trainer's affair.
    """
    if isinstance(whole, Mapping):
        if not isinstance(saved, Mapping):
            raise _Unusable(f"{key} is no mapping")
        if key == ".state_dict" and saved.keys() != whole.keys():
            raise _Unusable("the weights of another model")
        for name, value in whole.items():
            if name not in saved:
                raise _Unusable(f"{key}.{name} is missing".removeprefix("."))
            _check(saved[name], value, f"{key}.{name}")
    elif isinstance(whole, list):
        if not isinstance(saved, list) or len(saved) != len(whole):
            raise _Unusable(f"{key} is no list of {len(whole)}".removeprefix("."))
        for place, value in enumerate(whole):
            _check(saved[place], value, f"{key}.{place}")
    elif isinstance(whole, Tensor):
        _check_tensor(saved, whole, key)
    elif isinstance(whole, int | float) and not (
        isinstance(saved, int | float) and math.isfinite(saved)
    ):
        raise _Unusable(f"{key} is no finite number".removeprefix("."))


def _check_tensor(saved: Any, whole: Tensor, key: str) -> None:
    if not isinstance(saved, Tensor) or saved.shape != whole.shape:
        raise _Unusable("the weights of another model")
    if saved.is_floating_point() != whole.is_floating_point():
        raise _Unusable("the weights of another model")
    if not saved.isfinite().all() and whole.isfinite().all():
        raise _Unusable(f"{key} is not finite".removeprefix("."))


def _check_progress(state: Mapping[str, Any]) -> None:
    """Epoch, loops and rows of metrics.csv tell of the same number of epochs."""
    epochs = state["epoch"] + 1
    progress = state["callbacks"][EpochCheckpoints.__qualname__]
    rows = progress["rows"]
    if not isinstance(rows, list) or len(rows) != epochs:
        raise _Unusable(f"rows of metrics.csv: not those of {epochs} epochs")
    for epoch, row in enumerate(rows):
        if not isinstance(row, Mapping) or row.get("epoch") != str(epoch):
            raise _Unusable(f"rows of metrics.csv: not those of {epochs} epochs")
        if not row.keys() <= {*COLUMNS, ROBUST} or not all(map(_is_text, row.values())):
            raise _Unusable(f"rows of metrics.csv: epoch {epoch + 1}")
    counted = state["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    if counted != epochs or progress["best_epoch"] not in range(epochs):
        raise _Unusable(f"not the state after {epochs} epochs")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _check_momentum(state: Mapping[str, Any], parameters: Sequence[Tensor]) -> None:
    """The optimizer has a finite momentum for its parameters."""
    (optimizer,) = state["optimizer_states"]
    momenta = optimizer["state"]
    if not momenta and any(group["momentum"] for group in optimizer["param_groups"]):
        raise _Unusable("optimizer_states without momentum")
    for place, momentum in momenta.items():
        if place not in range(len(parameters)):
            raise _Unusable("optimizer_states of another model")
        if momentum:
            _check(momentum, {"momentum_buffer": parameters[place]}, "optimizer_states")
