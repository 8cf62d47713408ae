"""The objects that every task builds from an experiment.

Each is refused early and in one line if it does not fit.
"""

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
from avrobust.experiments.options import Option
from avrobust.experiments.settings import Execution, ModelSettings
from avrobust.experiments.targets import kind_of, locate
from avrobust.models.classifier import AVClassifier, eval_mode
from avrobust.models.fusion.base import Fusion
from avrobust.types import Clip, Sample
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
    if locate("dataset", settings.dataset.target, kind_of("dataset")) is Prepared:
        # Its lists are read at once: a wrong folder is refused before weights are fetched.
        data = build("dataset", settings.dataset)
    defense: Defense = build("defense", settings.defense)
    model = None
    # Where the classes are known without touching the data, a wrong model is refused at once.
    if classes := settings.dataset.values.get("classes"):
        model = build_model(settings, len(classes), defense)
    if data is None:
        data = build("dataset", settings.dataset)
        assert data is not None
    _check_frames(settings, data.form.frames)
    if model is None:
        model = build_model(settings, len(data.classes), defense)
    with _clips_that_fit(data.form):
        batch_size = choose_batch_size(
            execution.batch_size, model, data.form, execution.accelerator
        )
    return Parts(data, model, defense, batch_size)


def check_data(dataset: Option) -> None:
    """Refuses a data set that would have to be made first.

    The root of a finished run may be any folder that a stranger named, so that an analysis only
    reads there. A factory that can make its data declares a parameter `generate`.

    Raises:
        UserError: the data set is not there, or is another one.
    """
    factory = locate("dataset", dataset.target, kind_of("dataset"))
    if "generate" in signature(factory).parameters:
        build("dataset", dataset, generate=False)


def _check_frames(settings: ModelSettings, frames: int) -> None:
    """Refuses clips with fewer frames than the visual encoder needs.

    Raises:
        UserError: the encoder sees motion, and there is one frame.
    """
    # A class, or a function of another project.
    encoder = locate("visual", settings.visual.target, kind_of("visual"))
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


def readable_sample(data: Prepared, split: Split) -> Sample:
    """The first clip of a split that can be read.

    Args:
        data: the data set.
        split: whose clips.

    Raises:
        UserError: no clip can be read, or only one to train on: BatchNorm needs two.
    """
    least = 2 if split == "train" else 1
    clips = data.clips(split, training=split == "train")
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for position in range(len(clips)):
        item = clips[0, position]
        if isinstance(item, Skipped):
            skipped.append(item)
            continue
        samples.append(item)
        if len(samples) == least:
            return samples[0]
    reason = f"; the first, {skipped[0].key}: {skipped[0].reason}" if skipped else ""
    raise UserError(
        f"{data.root}: {len(samples)} of {len(clips)} {split} clips can be read, a training needs "
        f"at least {least}{reason}"
    )


def try_model(model: AVClassifier, sample: Sample, form: Format) -> None:
    """Runs one clip through the model, so that sizes that do not fit are refused before training.

    Raises:
        UserError: the model cannot take clips of this size.
    """
    one = Clip(sample.clip.audio.unsqueeze(0), sample.clip.visual.unsqueeze(0))
    with _clips_that_fit(form), eval_mode(model), torch.no_grad():
        model(one)


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
