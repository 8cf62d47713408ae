"""The settings of Lightning's trainer, checked against this machine without importing Lightning."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, final

from annotated_types import Ge, Gt, Interval, Le, MinLen
from pydantic import AllowInfNan, Strict, TypeAdapter, ValidationError

from avrobust.errors import UserError
from avrobust.experiments.options import Option
from avrobust.ranges import LARGEST

LIGHTNING = "pytorch_lightning.Trainer"
# One of these is there wherever torch has a GPU on Linux: NVIDIA's driver, that of WSL, AMD's.
DRIVERS = ("/proc/driver/nvidia", "/dev/dxg", "/dev/kfd")
# Arguments of the trainer that the training sets itself, where the reason helps to find the key.
SET_BY_TRAINING = {
    "max_epochs": "training.epochs sets it",
    "logger": "logger=OPTION sets it",
    "max_steps": "training.epochs says how long a model is trained",
    "fast_dev_run": "trainer=smoke is a short training that says so",
    "overfit_batches": "trainer.limit_train_batches shortens an epoch",
    "enable_progress_bar": "it is shown where standard error is a terminal",
}
BatchLimit = Annotated[int, Strict(), Ge(1)] | Annotated[float, Strict(), Interval(gt=0, le=1)]
Index = Annotated[int, Strict(), Ge(0)]


@final
@dataclass(frozen=True)
class TrainerSettings:
    """The arguments of Lightning's trainer that a config may set; every other one is refused.

    The others stop a training early, leave out its validation or its checkpoints, or are set by the
    training. An option of another project may set no other key of Lightning's trainer either.
    """

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    devices: (
        Annotated[int, Strict(), Ge(1)] | Literal[-1, "auto"] | Annotated[list[Index], MinLen(1)]
    ) = 1
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true"] = "auto"
    sync_batchnorm: Annotated[bool, Strict()] = False
    num_nodes: Annotated[int, Strict(), Ge(1)] = 1
    precision: Literal[
        "32-true", "32", 32, "64-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true"
    ] = "32-true"
    limit_train_batches: BatchLimit = 1.0
    limit_val_batches: BatchLimit = 1.0
    gradient_clip_val: (
        Annotated[float, Strict(), AllowInfNan(allow_inf_nan=False), Gt(0), Le(LARGEST)] | None
    ) = None
    gradient_clip_algorithm: Literal["norm", "value"] | None = None
    accumulate_grad_batches: Annotated[int, Strict(), Ge(1)] = 1
    detect_anomaly: Annotated[bool, Strict()] = False


ALLOWED = {
    "devices": "a number of at least 1, -1 or auto for all GPUs, or a list such as [0,1]",
    "sync_batchnorm": "true or false",
    "num_nodes": "a whole number of at least 1",
    "limit_train_batches": "a share of the batches such as 0.5 or 1.0, or a number such as 10",
    "limit_val_batches": "a share of the batches such as 0.5 or 1.0, or a number such as 10",
    "gradient_clip_val": "a number above 0, or null",
    "gradient_clip_algorithm": "norm, value, null",
    "accumulate_grad_batches": "a whole number of at least 1",
    "detect_anomaly": "true or false",
}


def trainer_settings(option: Option) -> TrainerSettings | None:
    """The checked settings; None for a trainer of another class than Lightning's.

    Raises:
        UserError: an argument or a value is not allowed.
    """
    if option.target != LIGHTNING:
        return None
    names = [field.name for field in fields(TrainerSettings)]
    for key in (*option.values, *option.parts):
        if key not in names:
            reason = SET_BY_TRAINING.get(key) or f"the keys of trainer are {', '.join(names)}"
            raise UserError(f"trainer.{key}: cannot be set here; {reason}")
    try:
        return TypeAdapter(TrainerSettings).validate_python(option.values)
    except ValidationError as error:
        raise UserError(_explain(error, option.values)) from None


def _explain(error: ValidationError, values: dict[str, Any]) -> str:
    """The first mistake: key, value and what is allowed."""
    first = error.errors()[0]
    key = str(first["loc"][0])
    allowed = ALLOWED.get(key)
    if allowed is None:
        allowed = first["ctx"]["expected"].replace(" or ", ", ").replace("'", "")
    return f"trainer.{key}={_text(values[key])}: choices: {allowed}"


def _text(value: object) -> str:
    return "null" if value is None else str(value)


def check_limits(settings: TrainerSettings, batches: Mapping[str, int]) -> None:
    """Refuses limits that leave nothing of an epoch.

    Args:
        settings: the checked settings.
        batches: how many batches an epoch has, by the key that limits them.

    Raises:
        UserError: a share of the batches is less than one.
    """
    for key, count in batches.items():
        limit = getattr(settings, key)
        if isinstance(limit, float) and int(limit * count) == 0:
            raise UserError(
                f"trainer.{key}={limit}: leaves none of an epoch's {count} batches; give a larger "
                "share, or a number of batches such as 1"
            )


def check_hardware(option: Option, settings: TrainerSettings) -> None:
    """Refuses a trainer that this machine cannot run.

    Args:
        option: the trainer, for messages.
        settings: its checked settings.

    Raises:
        UserError: there are fewer GPUs than the trainer wants, or a setting does not fit the CPU.
    """
    if settings.accelerator == "mps" or (
        sys.platform == "darwin" and settings.accelerator != "cpu"
    ):
        return  # Apple's GPU, of which there is one
    gpus = 0 if settings.accelerator == "cpu" else count_gpus()
    if settings.accelerator in ("gpu", "cuda") and not gpus:
        raise UserError(
            f"trainer.accelerator={settings.accelerator} (trainer={option.name}): no GPU can be "
            "used here; choices: auto, cpu (trainer=cpu)"
        )
    if gpus:
        _check_gpus(settings, gpus)
    else:
        _check_cpu(option, settings)


def _check_gpus(settings: TrainerSettings, gpus: int) -> None:
    devices = settings.devices
    if isinstance(devices, list) and len(set(devices)) < len(devices):
        raise UserError(f"trainer.devices={devices}: names a GPU twice")
    wanted = devices if isinstance(devices, int) else 1
    if isinstance(devices, list):
        wanted = max(devices) + 1
    if wanted > gpus:
        raise UserError(f"trainer.devices={devices}: this machine has {gpus} GPUs, numbered from 0")


def _check_cpu(option: Option, settings: TrainerSettings) -> None:
    devices = settings.devices
    if devices == -1 or isinstance(devices, list):
        raise UserError(
            f"trainer.devices={devices} (trainer={option.name}): means GPUs, and no GPU can be "
            "used here; trainer=cpu takes the CPU, trainer.devices=2 two processes on it"
        )
    if settings.sync_batchnorm:
        raise UserError(
            f"trainer.sync_batchnorm=true (trainer={option.name}): works on GPUs alone; add "
            "trainer.sync_batchnorm=false"
        )


def count_gpus() -> int:
    """How many GPUs torch can use; imports torch only if there may be one."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return 0
    if sys.platform == "linux" and not any(Path(driver).exists() for driver in DRIVERS):
        return 0
    import torch

    return torch.cuda.device_count()
