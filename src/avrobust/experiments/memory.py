"""Refuses clips and batches that no memory holds, before anything is generated or built."""

from collections.abc import Mapping
from typing import Any

import psutil

from avrobust.data.layout import Format
from avrobust.errors import UserError
from avrobust.experiments.settings import Experiment

BYTES = 4  # of a value
# What the first layers keep of a clip, in times its own size: the first convolution of a ResNet has
# 64 maps of half the width and height, which are 5.3 times the values of a frame.
FIRST_LAYERS = 5
UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def check_memory(experiment: Experiment) -> None:
    """Compares what a batch needs at the least with the memory that is available.

    Raises:
        UserError: the memory does not suffice; the message has the numbers.
    """
    values = experiment.model.dataset.values
    form = clip_format(values)
    if form is None:
        return  # other code makes the clips, or a size is wrong, which the data set says itself
    key, batch = _largest_batch(experiment)
    clip = BYTES * form.values
    layers = FIRST_LAYERS * clip
    need = batch * (clip + layers)
    available = psutil.virtual_memory().available
    if need <= available:
        return
    if clip + layers > available:
        key = _largest_part(form)
        value = getattr(form, key.rpartition(".")[2])
    else:
        value = batch
    raise UserError(
        f"{key}={value}: one clip takes {_size(clip)}, the first layers {_size(layers)} more, "
        f"and a batch of {batch} clips needs {_size(need)}; {_size(available)} are available: make "
        "it smaller"
    )


def clip_format(values: Mapping[str, Any]) -> Format | None:
    """The size of a clip, as the values of an option of the group `dataset` name it.

    Returns:
        None if a size is not there or is wrong, which the data set says itself.
    """
    sizes = {}
    for name in ("image_size", "audio_samples", "frames"):
        value = values.get(name)
        if type(value) is not int or value < 1:
            return None
        sizes[name] = value
    return Format(**sizes)


def _largest_batch(experiment: Experiment) -> tuple[str, int]:
    """The key of the larger batch size, of training or of evaluation, and how many clips it is."""
    key, batch = "training.batch_size", experiment.model.training.batch_size
    evaluated = experiment.execution.batch_size
    if evaluated != "auto" and evaluated > batch:
        key, batch = "batch_size", evaluated
    return key, batch


def _largest_part(form: Format) -> str:
    """The key that makes a clip large."""
    if form.audio_samples > form.values / 2:
        return "dataset.audio_samples"
    return "dataset.frames" if form.frames > form.image_size else "dataset.image_size"


def _size(count: float) -> str:
    """A number of bytes as text, for example "12 TB"."""
    for unit in UNITS[:-1]:
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {UNITS[-1]}"
