"""The model under evaluation, kept with what is known of its clips for the next jobs of a sweep in this process."""

from typing import NamedTuple

import torch

from avrobust.evaluation.evaluate import Known
from avrobust.experiments.runs import Run
from avrobust.models.classifier import AVClassifier
from avrobust.models.folding import folded
from avrobust.tasks.parts import EvaluationBatches
from avrobust.tasks.train import load_trained


class Shortcuts(NamedTuple):
    """What makes an evaluation faster at the price of other roundings."""

    amp: bool = False
    compile: bool = False


class Loaded(NamedTuple):
    """A trained model, ready to be attacked."""

    model: AVClassifier  # BatchNorm folded
    known: Known | None  # for `evaluate`; None where the split is too large to be kept


_last: tuple[tuple[object, ...], Loaded] | None = None


def loaded(
    run: Run,
    model: AVClassifier,
    batches: EvaluationBatches,
    device: torch.device,
    shortcuts: Shortcuts,
) -> Loaded:
    """A finished training's model on a device; the same object as last time if nothing about it has changed.

    Args:
        run: whose weights.
        model: built from the same config; takes them.
        batches: the split that the model is evaluated on.
        device: where to.
        shortcuts: what the evaluation trades for speed.

    Raises:
        UserError: the checkpoint is missing or damaged.
    """
    global _last
    changed = run.checkpoint.stat().st_mtime_ns if run.checkpoint.is_file() else None
    name = (run.checkpoint, changed, batches.name, device, shortcuts)
    if _last is None or _last[0] != name:
        _last = None  # its memory is given back before the next takes its own
        quick = folded(load_trained(run, model)).to(device)
        if shortcuts.compile:
            _compile(quick)
        _last = name, Loaded(quick, {} if batches.fits else None)
    _exact_arithmetic()
    return _last[1]


def _compile(model: AVClassifier) -> None:
    """Hands the encoders to torch.compile, in place; it works when they are first called."""
    for encoder in (model.audio, model.visual):
        if encoder is not None:
            encoder.compile()


def _exact_arithmetic() -> None:
    """Full float32 on GPUs: TF32 would change which clips stand."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
