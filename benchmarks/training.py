"""Training as train.py does it against the bare steps of the same model on batches in memory.

    python benchmarks/training.py --repeats 2

Bare: forward, backward and the optimizer's step of our model in its best memory layout
(channels_last) and nothing else; the batches are in memory. It is the floor and what is compared
with, as nobody writes a plainer loop. Ours: `avrobust.training.fit.fit`, that is Lightning with
metrics, clips read from disk and augmented, and with two epochs of them. What Lightning does once
an epoch beside validation (metrics.csv, checkpoints, fetching the data anew) is given apart, as its
share falls with the number of clips; MUSIC has 312 an epoch. One process, interleaved, medians.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from made import compose_experiment, write_prepared
from torch import nn
from torch.nn import functional as F

from avrobust.data.clips import collate
from avrobust.experiments.build import build
from avrobust.experiments.settings import Experiment
from avrobust.tasks.setup import Parts, build_parts
from avrobust.training.checkpoints import Origin
from avrobust.training.datamodule import LitData
from avrobust.training.fit import fit
from avrobust.training.module import LitClassifier
from avrobust.types import Batch

EPOCHS = 2


class Case(NamedTuple):
    """A size of clips and model."""

    size: tuple[int, int]  # of the frames on disk
    clips: int
    batch: int
    overrides: tuple[str, ...]


CASES = {
    "paper": Case((455, 256), 24, 8, ("experiment=paper_size",)),
    "embedded": Case((112, 112), 128, 16, ("visual=resnet10",)),
}


class Timed(NamedTuple):
    """Seconds of one training."""

    steps: float  # of an epoch, without validation
    rest: float  # between two epochs


def table(repeats: int = 3, cases: tuple[str, ...] = tuple(CASES)) -> pd.DataFrame:
    """Seconds a clip, one line a size."""
    return pd.DataFrame([_line(name, CASES[name], repeats) for name in cases])


def _line(name: str, case: Case, repeats: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "data")
        write_prepared(root, {"train": case.clips, "val": case.batch, "test": 3}, case.size)
        sizes = (
            f"training.epochs={EPOCHS}",
            "training.milestones=[]",
            f"training.batch_size={case.batch}",
        )
        experiment = compose_experiment(
            "train",
            "dataset=folder",
            f"dataset.root={root}",
            *case.overrides,
            *sizes,
            "trainer=cpu",
        )
        parts = build_parts(experiment.model, experiment.execution)
        batches = in_memory(parts, case.batch)
        bare, ours = [], []
        for repeat in range(1 + repeats):
            bare.append(bare_epoch(experiment, parts, batches))
            ours.append(train_on_lightning(experiment, parts, Path(folder, str(repeat))))
    plain = statistics.median(bare[1:]) / case.clips
    steps = statistics.median(t.steps for t in ours[1:]) / case.clips
    rest = statistics.median(t.rest for t in ours[1:])
    return {
        "size": name,
        "clips, batch": f"{case.clips}, {case.batch}",
        "bare, s a clip": plain,
        "ours, s a clip": steps,
        "ratio": steps / plain,
        "wanted": 1.10,
        "once an epoch, s": rest,
        "ratio with it, 312 clips": (312 * steps + rest) / (312 * plain),
    }


def in_memory(parts: Parts, size: int) -> list[Batch]:
    """The training clips, augmented once."""
    clips = parts.data.clips("train", training=True)
    return [
        collate([clips[0, i] for i in range(at, at + size)]).batch
        for at in range(0, len(clips), size)
    ]


def bare_epoch(experiment: Experiment, parts: Parts, batches: list[Batch]) -> float:
    """Seconds of one epoch of bare steps."""
    model: nn.Module = parts.model.train()
    module = lit_classifier(experiment, parts)
    configured: Any = module.configure_optimizers()
    optimizer: torch.optim.Optimizer = configured["optimizer"]
    started = time.perf_counter()
    for batch in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(batch.clip), batch.label).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return time.perf_counter() - started


def lit_classifier(experiment: Experiment, parts: Parts) -> LitClassifier:
    """The module that a training of this experiment trains."""
    settings = experiment.model
    return LitClassifier(parts.model, settings.training, parts.defense, seed=settings.seed)


def train_on_lightning(experiment: Experiment, parts: Parts, folder: Path) -> Timed:
    """Trains for two epochs; times the second, and what lies between them."""
    folder.mkdir(parents=True)
    settings, execution = experiment.model, experiment.execution
    module = lit_classifier(experiment, parts)
    data = LitData(
        parts.data,
        batch_size=settings.training.batch_size,
        eval_batch_size=parts.batch_size,
        workers=execution.workers,
        seed=settings.seed,
    )
    marks: dict[str, list[float]] = {}
    end = module.on_train_epoch_end

    def mark(name: str) -> None:
        marks.setdefault(name, []).append(time.perf_counter())

    def finish() -> None:
        end()
        mark("end")

    # Hooks of this one object: Lightning looks them up by name.
    module.on_train_epoch_start = lambda: mark("start")  # type: ignore[method-assign]
    module.on_train_epoch_end = finish  # type: ignore[method-assign]
    module.on_validation_start = lambda: mark("validation")  # type: ignore[method-assign]
    module.on_validation_end = lambda: mark("validated")  # type: ignore[method-assign]
    trainer = build("trainer", settings.trainer)
    fit(
        module,
        data,
        folder,
        trainer,
        origin=Origin(folder.name, {}, {}),
        loggers=[],
        one_device=execution.one_device,
    )
    validation = marks["validated"][1] - marks["validation"][1]
    return Timed(
        marks["end"][1] - marks["start"][1] - validation, marks["start"][1] - marks["end"][0]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2)
    given = parser.parse_args()
    print(table(given.repeats).to_markdown(index=False, floatfmt=".3f"))


if __name__ == "__main__":
    main()
