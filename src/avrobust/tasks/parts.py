"""The objects that every task builds from the config, each refused early and in one line if it does not fit."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import torch

from avrobust.data.clips import Clips, LoadedBatch
from avrobust.data.layout import Format, Split
from avrobust.data.loading import EpochSampler, loader
from avrobust.data.prepared import Prepared
from avrobust.defenses.base import Defense
from avrobust.errors import UserError
from avrobust.experiments.config import build
from avrobust.models.classifier import AVClassifier, eval_mode
from avrobust.models.fusion.base import Fusion
from avrobust.tasks.batch_size import chosen
from avrobust.training.recipe import Recipe
from avrobust.types import Batch, Clip, Sample
from avrobust.utils.console import warn
from avrobust.utils.gpus import lease
from avrobust.utils.randomness import seed_for

Config = Mapping[str, Any]
KEPT_BYTES = 2**30  # of a split that is kept in memory


class Parts(NamedTuple):
    """Data, untrained model, recipe and defense of one config, and how many clips it evaluates at once."""

    data: Prepared
    model: AVClassifier
    recipe: Recipe
    defense: Defense
    batch_size: int


def build_parts(config: Config) -> Parts:
    """Builds what a training config describes; the data last, as it may take a while to generate.

    Raises:
        UserError: something does not fit; nothing has been trained yet.
    """
    recipe = build_recipe(config["training"])
    defense: Defense = build("defense", config["defense"])
    model = None
    if config["dataset"].get(
        "classes"
    ):  # known without touching the data: a wrong model is refused at once
        model = build_model(config, len(config["dataset"]["classes"]), defense)
    data: Prepared = build("dataset", config["dataset"])
    model = model or build_model(config, len(data.classes), defense)
    with _clips_that_fit(data.form):
        batch_size = chosen(
            config["batch_size"], model, data.form, config["trainer"]["accelerator"]
        )
    return Parts(data, model, recipe, defense, batch_size)


def build_recipe(node: Mapping[str, Any]) -> Recipe:
    """The training settings.

    Raises:
        UserError: a setting makes no sense.
    """
    settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in node.items()}
    try:
        return Recipe(**settings)
    except ValueError as error:
        raise UserError(f"training: {error}") from None


def build_model(config: Config, classes: int, defense: Defense) -> AVClassifier:
    """The untrained classifier. Each part's weights depend on seed and part alone, so that two fusions start equal."""
    audio, visual = _seeded("audio", config), _seeded("visual", config)
    with _weights(config["seed"], "head"):
        factory = defense.fusion or build("fusion", config["fusion"])
        fusion: Fusion = factory(audio_dim=audio.dim, visual_dim=visual.dim)
        model = AVClassifier(
            audio if "audio" in fusion.uses else None,
            visual if "visual" in fusion.uses else None,
            fusion,
            classes=classes,
            restorers=defense.restorers(fusion),
            learned=defense.learned(fusion, classes),
        )
    defense.refuse(model)
    # The convolutions' fast layout, on CPUs above all; torch types only `to` with more arguments.
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _seeded(group: str, config: Config) -> Any:
    with _weights(config["seed"], group):
        return build(group, config[group])


@contextmanager
def _weights(seed: int, part: str) -> Iterator[None]:
    """The global generator, which torch draws weights from, is lent for a while: no other random draw moves."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "weights", part))
        yield


def lease_for(config: Config) -> AbstractContextManager[torch.device]:
    """The one device that this run computes on: a GPU unless there is none or the trainer says cpu."""
    accelerator = config["trainer"]["accelerator"]
    return lease(accelerator, shared=config["side_by_side"], jobs_per_gpu=config["jobs_per_gpu"])


@contextmanager
def evaluating(config: Config) -> Iterator[torch.device]:
    """`lease_for`, in the precision that an evaluation of this config computes in."""
    with (
        lease_for(config) as device,
        torch.autocast(device.type, torch.bfloat16, enabled=config.get("amp", False)),
    ):
        yield device


def report_overlaps(data: Prepared) -> None:
    """Says which splits share clips; the released AVE lists do."""
    for pair, count in data.overlaps().items():
        warn(f"{data.root}: {pair} share {count} clips")


def try_one_clip(model: AVClassifier, clips: Clips) -> None:
    """Runs the first readable clip through the model, so that sizes that do not fit are refused before training.

    Raises:
        UserError: no clip can be read, or the model cannot take clips of this size.
    """
    reasons = []
    for position in range(len(clips)):
        sample = clips[0, position]
        if isinstance(sample, Sample):
            return _try(model, sample, clips)
        reasons.append(sample)
    first = reasons[0]
    raise UserError(
        f"{clips.root}: none of {len(reasons)} clips can be read; the first, {first.key}: {first.reason}"
    )


def _try(model: AVClassifier, sample: Sample, clips: Clips) -> None:
    one = Clip(*(x.unsqueeze(0) for x in sample.clip))
    with _clips_that_fit(clips.form), eval_mode(model), torch.no_grad():
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


class EvaluationBatches:
    """The batches of one split in order, and afterwards the clips that could not be read; of `count` clips if given.

    A split that fits in memory is read once for all passes over it in one process: conditions,
    objectives, jobs.
    """

    def __init__(
        self, config: Config, parts: Parts, split: Split, count: int | None = None
    ) -> None:
        data, clips, size = parts.data, parts.data.clips(split), parts.batch_size
        clips = clips.few(count) if count else clips
        self.keys = [entry.key for entry in clips.entries]
        sampler = EpochSampler(len(clips), shuffle=False)
        self.loader = loader(clips, sampler, size, config["workers"])
        self.skipped: list[dict[str, str]] = []
        self.name = (
            data.fingerprint(),
            str(data.root),
            clips.form,
            split,
            count,
            size,
        )  # of what is kept
        self.fits = 4 * clips.form.values * len(clips) <= KEPT_BYTES

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        for loaded in _kept.get(self.name) or self._read():
            self.skipped += [s._asdict() for s in loaded.skipped]
            yield loaded.batch

    def _read(self) -> Iterator[LoadedBatch]:
        read: list[LoadedBatch] = []
        for loaded in self.loader:
            yield loaded
            if self.fits:
                read.append(loaded)
        _kept.clear()
        if read:
            _kept[self.name] = read


_kept: dict[tuple[object, ...], list[LoadedBatch]] = {}  # the split that was read last


class TrainingBatches:
    """The training clips once, in a seeded order: what a stage of training begins on. Clean, or augmented."""

    def __init__(self, config: Config, parts: Parts, *, augmented: bool) -> None:
        self.config, self.parts, self.augmented = config, parts, augmented

    def __iter__(self) -> Iterator[Batch]:
        seed = self.config["seed"]
        clips = self.parts.data.clips("train", training=self.augmented, seed=seed)
        sampler = EpochSampler(len(clips), shuffle=True, seed=seed)
        loaded: LoadedBatch
        for loaded in loader(clips, sampler, self.parts.recipe.batch_size, self.config["workers"]):
            yield loaded.batch
