"""The objects that every task builds from an experiment.

Each is refused early and in one line if it does not fit.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from inspect import signature
from typing import NamedTuple

import torch

from avrobust.data.batches import SplitBatches
from avrobust.data.clips import Skipped
from avrobust.data.layout import Format, Split
from avrobust.data.prepared import Prepared
from avrobust.defenses.base import Defense
from avrobust.errors import UserError
from avrobust.evaluation.batch_size import choose_batch_size
from avrobust.experiments.build import build
from avrobust.experiments.memory import clip_format
from avrobust.experiments.options import Option
from avrobust.experiments.settings import Execution, ModelSettings
from avrobust.experiments.targets import locate
from avrobust.experiments.trainer import check_limits, trainer_settings
from avrobust.models.classifier import AVClassifier, eval_mode
from avrobust.models.fusion.base import Fusion
from avrobust.types import Clip
from avrobust.utils.console import warn
from avrobust.utils.gpus import lease
from avrobust.utils.randomness import seed_for


class Parts(NamedTuple):
    """Data, untrained model, defense, and how many clips the experiment evaluates at once."""

    data: Prepared
    model: AVClassifier
    defense: Defense
    batch_size: int

    def batches(self, split: Split, execution: Execution, count: int | None = None) -> SplitBatches:
        """The batches of a split, of `count` clips alone if that is given."""
        return SplitBatches(
            self.data, split, batch_size=self.batch_size, workers=execution.workers, count=count
        )


def build_parts(settings: ModelSettings, execution: Execution) -> Parts:
    """Builds what a training needs; the data last, as it may take a while to generate.

    Raises:
        UserError: something does not fit; nothing has been trained yet.
    """
    if "frames" in settings.dataset.values:  # refused before the data is generated
        _check_frames(settings, settings.dataset.values["frames"])
    data: Prepared | None = None
    if locate("dataset", settings.dataset.target) is Prepared:
        # Its lists are read at once: a wrong folder is refused before weights are fetched.
        data = build("dataset", settings.dataset)
        _check_training_clips(data)
    defense: Defense = build("defense", settings.defense)
    model = None
    # Where the classes are known without touching the data, a wrong model is refused at once.
    if classes := settings.dataset.values.get("classes"):
        model = build_model(settings, len(classes), defense)
    if data is None:
        check_clip_size(settings)  # refused before the data is generated
        data = build("dataset", settings.dataset)
        assert data is not None
        _check_training_clips(data)
    _check_frames(settings, data.form.frames)
    if model is None:
        model = build_model(settings, len(data.classes), defense)
    _try_model(model, data.form)
    with _clips_that_fit(data.form):
        batch_size = choose_batch_size(
            execution.batch_size, model, data.form, execution.accelerator
        )
    parts = Parts(data, model, defense, batch_size)
    _check_limits(settings, parts)
    return parts


def _check_training_clips(data: Prepared) -> None:
    """Refuses a training split that no batch can be made of.

    Raises:
        UserError: there is one clip, and BatchNorm needs two.
    """
    if (count := len(data.entries["train"])) < 2:
        raise UserError(f"{data.root}: {count} train clip; a training needs at least 2")


def _check_limits(settings: ModelSettings, parts: Parts) -> None:
    """Refuses a share of the batches of an epoch that is less than one batch.

    Raises:
        UserError: nothing is left to train on, or to validate with.
    """
    trainer = trainer_settings(settings.trainer)
    if trainer is None:
        return
    train, val = len(parts.data.entries["train"]), len(parts.data.entries["val"])
    batch = settings.training.batch_size
    whole, left_over = divmod(train, batch)  # an epoch does not end on a batch of one clip
    check_limits(trainer, {"limit_train_batches": whole + (left_over > 1)})
    check_limits(trainer, {"limit_val_batches": math.ceil(val / parts.batch_size)})
    if robust := parts.defense.robust_validation:
        check_limits(trainer, {"limit_val_batches": math.ceil(min(robust.clips, val) / batch)})


def check_data(dataset: Option) -> None:
    """Refuses a data set that would have to be made first.

    The root of a finished run may be any folder that a stranger named, so that an analysis only
    reads there. A factory that can make its data declares a parameter `generate`.

    Raises:
        UserError: the data set is not there, or is another one.
    """
    factory = locate("dataset", dataset.target)
    if "generate" in signature(factory).parameters:
        build("dataset", dataset, generate=False)


def _check_frames(settings: ModelSettings, frames: int) -> None:
    """Refuses clips with fewer frames than the visual encoder needs.

    Raises:
        UserError: the encoder sees motion, and there is one frame.
    """
    # A class, or a function of another project.
    encoder = locate("visual", settings.visual.target)
    needed: int = getattr(encoder, "min_frames", 1)
    if frames < needed:
        raise UserError(
            f"visual={settings.visual.name} needs at least {needed} frames a clip, "
            f"dataset.frames={frames}: add dataset.frames=8 dataset.stride=1"
        )


def build_model(settings: ModelSettings, classes: int, defense: Defense) -> AVClassifier:
    """The untrained classifier.

    The weights of each part depend on the seed and the part alone, so that two fusions start equal.
    """
    with _weights(settings.seed, "audio"):
        audio = build("audio", settings.audio)
    with _weights(settings.seed, "visual"):
        visual = build("visual", settings.visual)
    with _weights(settings.seed, "head"):
        factory = defense.fusion or build("fusion", settings.fusion)
        fusion: Fusion = factory(audio_dim=audio.dim, visual_dim=visual.dim)
        model = AVClassifier(
            audio if "audio" in fusion.uses else None,
            visual if "visual" in fusion.uses else None,
            fusion,
            classes=classes,
            restorers=defense.restorers(fusion),
            extra_modules=defense.extra_modules(fusion, classes),
        )
    defense.validate(model)
    # The 2-D convolutions' fast layout, on CPUs above all. `model.to` refuses 3-D convolutions.
    for parameter in model.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
    return model


@contextmanager
def _weights(seed: int, part: str) -> Iterator[None]:
    """Seeds for a while the global generator, from which torch draws weights.

    No other random draw changes.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "weights", part))
        yield


def lease_for(execution: Execution) -> AbstractContextManager[torch.device]:
    """The one device that a run computes on: a GPU unless there is none or the trainer says cpu."""
    return lease(
        execution.accelerator,
        shared=execution.parallel_jobs,
        jobs_per_gpu=execution.jobs_per_gpu,
    )


@contextmanager
def evaluating(execution: Execution, *, amp: bool = False) -> Iterator[torch.device]:
    """`lease_for`, in the precision that an evaluation computes in.

    Args:
        execution: how the work is done.
        amp: bfloat16 where torch deems it safe.
    """
    with (
        lease_for(execution) as device,
        torch.autocast(device.type, torch.bfloat16, enabled=amp),
    ):
        yield device


def report_overlaps(data: Prepared) -> None:
    """Says which splits share clips; the released AVE lists do."""
    for pair, count in data.overlaps().items():
        warn(f"{data.root}: {pair} share {count} clips")


def check_readable(data: Prepared, split: Split) -> None:
    """Refuses a split whose clips cannot be read; it reads no more of them than it needs.

    Args:
        data: the data set.
        split: whose clips.

    Raises:
        UserError: no clip can be read, or only one to train on: BatchNorm needs two.
    """
    least = 2 if split == "train" else 1
    clips = data.clips(split, training=split == "train")
    readable = 0
    skipped: list[Skipped] = []
    for position in range(len(clips)):
        item = clips[0, position]
        if isinstance(item, Skipped):
            skipped.append(item)
            continue
        readable += 1
        if readable == least:
            return
    reason = f"; the first, {skipped[0].key}: {skipped[0].reason}" if skipped else ""
    raise UserError(
        f"{data.root}: {readable} of {len(clips)} {split} clips can be read, a training needs "
        f"at least {least}{reason}"
    )


def check_beforehand(settings: ModelSettings) -> None:
    """Refuses data that are not there and clips that an encoder cannot take; generates nothing.

    Whether the parts of a model fit each other is left to the job, which stops no other one.

    Raises:
        UserError: the data are not there, or an encoder does not fit them.
    """
    if locate("dataset", settings.dataset.target) is Prepared:
        _check_training_clips(build("dataset", settings.dataset))
    form = clip_format(settings.dataset.values)
    uses = getattr(locate("fusion", settings.used_fusion.target), "uses", ("audio", "visual"))
    if form is None:
        return
    for modality in uses:
        encoder = build(modality, getattr(settings, modality))
        with _clips_that_fit(form), eval_mode(encoder), torch.no_grad():
            encoder(getattr(_clip_of_zeros(form), modality))


def check_clip_size(settings: ModelSettings) -> None:
    """Refuses clips that the model cannot take, without the data; as far as the config says it.

    Raises:
        UserError: a part of the model does not fit the clips, or another part.
    """
    if form := clip_format(settings.dataset.values):
        _check_frames(settings, form.frames)
        _try_model(build_model(settings, 2, build("defense", settings.defense)), form)


def _try_model(model: AVClassifier, form: Format) -> None:
    """Runs a clip of zeros through the model, so that sizes that do not fit are refused at once.

    What a defense restores is left out: it keeps the shapes, and may have to be prepared first.

    Raises:
        UserError: the model cannot take clips of this size.
    """
    with _clips_that_fit(form), eval_mode(model), torch.no_grad():
        model.fuse(model.encode(_clip_of_zeros(form)))


def _clip_of_zeros(form: Format) -> Clip:
    frames = torch.zeros(1, form.frames, 3, form.image_size, form.image_size)
    return Clip(torch.zeros(1, 1, form.audio_samples), frames)


@contextmanager
def _clips_that_fit(form: Format) -> Iterator[None]:
    """Turns a model's failure on clips of this size into one line."""
    try:
        yield
    except RuntimeError as error:
        raise UserError(
            f"the model cannot take clips of dataset.audio_samples={form.audio_samples} and "
            f"dataset.image_size={form.image_size}: {' '.join(str(error).split())}"
        ) from None
