"""The model under evaluation, kept with its cache for the next jobs of a sweep in this process."""

from typing import NamedTuple

import torch

from avrobust.data.batches import SplitBatches
from avrobust.errors import UserError
from avrobust.evaluation.evaluate import EvaluationCache
from avrobust.experiments.result_files import FILE
from avrobust.experiments.runs import Run
from avrobust.models.classifier import AVClassifier
from avrobust.models.folding import folded
from avrobust.utils.files import file_hash


class Loaded(NamedTuple):
    """A trained model, ready to be attacked."""

    model: AVClassifier  # BatchNorm folded into the convolutions
    cache: EvaluationCache | None  # for `evaluate`; None where the split is too large to be kept


_last: tuple[tuple[object, ...], Loaded] | None = None


def load_for_evaluation(
    run: Run,
    model: AVClassifier,
    batches: SplitBatches,
    device: torch.device,
    *,
    compiled: bool = False,
) -> Loaded:
    """The model of a finished training on a device.

    It is the same object as last time if nothing about it has changed.

    Args:
        run: whose weights.
        model: built from the same settings; takes the weights.
        batches: the split that the model is evaluated on.
        device: where to.
        compiled: hand the encoders to torch.compile.

    Raises:
        UserError: the checkpoint is missing or damaged.
    """
    global _last
    changed = run.checkpoint.stat().st_mtime_ns if run.checkpoint.is_file() else None
    name = (run.checkpoint, changed, batches.name, device, compiled)
    if _last is None or _last[0] != name:
        _last = None  # its memory is given back before the next model takes its own
        ready = folded(load_trained(run, model)).to(device)
        if compiled:
            _compile(ready)
        _last = name, Loaded(ready, {} if batches.fits else None)
    _exact_arithmetic()
    return _last[1]


def load_trained(run: Run, model: AVClassifier, *, optional: tuple[str, ...] = ()) -> AVClassifier:
    """Puts a run's weights into a model that was built from the same settings.

    Args:
        run: finished.
        model: takes the weights.
        optional: prefixes of the weights that may be missing in the checkpoint: what a later stage
            adds.

    Raises:
        UserError: the checkpoint is missing or damaged.
    """
    _check_content(run)
    try:
        state = torch.load(run.checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        for name, value in model.state_dict().items():
            if optional and name.startswith(optional):
                state.setdefault(name, value)
        model.load_state_dict(state)
    except Exception as error:  # torch.load raises many kinds for a damaged file
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{run.checkpoint}: not a checkpoint of this model ({type(error).__name__}: {reason}); "
            "train it again with force=true"
        ) from None
    return model


def _check_content(run: Run) -> None:
    """Refuses a checkpoint that is not the one whose numbers stand in the run's result.

    Raises:
        UserError: the file was exchanged, or written by another training since.
    """
    result = run.result()
    expected = result.weights.get(run.run_id) if result else None
    if expected and run.checkpoint.is_file() and file_hash(run.checkpoint) != expected:
        raise UserError(
            f"{run.checkpoint}: not the file that the training wrote, as its hash in {FILE} says; "
            "train it again with force=true"
        )


def _compile(model: AVClassifier) -> None:
    """Hands the encoders to torch.compile, in place; it works when they are first called."""
    for encoder in (model.audio, model.visual):
        if encoder is not None:
            encoder.compile()


def _exact_arithmetic() -> None:
    """Full float32 on GPUs: TF32 would change which clips stand."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
