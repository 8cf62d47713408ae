"""What several benchmarks share: photos as frames, prepared data sets, experiments, fair timing."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from hydra import compose, initialize_config_dir
from omegaconf import open_dict
from PIL import Image
from sklearn.datasets import load_sample_images

from avrobust.data.layout import FRAME_RATE, SAMPLE_RATE, Entry, write_list
from avrobust.experiments.build import check, check_trainer
from avrobust.experiments.config import experiment_from
from avrobust.experiments.schema import register
from avrobust.experiments.settings import Experiment, Task

PROJECT = Path(__file__).parents[1]
CLASSES = ("bell", "drum", "horn")

register()  # the schemas that the primary configs list


@cache
def photo(number: int, width: int, height: int) -> Image.Image:
    """One of scikit-learn's two photos, moved and noisy: its JPEG is as large as a real one."""
    rng = np.random.default_rng(number)
    whole = Image.fromarray(load_sample_images().images[number % 2])
    share = rng.uniform(0.7, 0.95) * min(whole.width / width, whole.height / height)
    cut = (share * width, share * height)
    x, y = (rng.uniform(0, room - want) for room, want in zip(whole.size, cut, strict=True))
    picture = whole.resize(
        (width, height), Image.Resampling.BICUBIC, (x, y, x + cut[0], y + cut[1])
    )
    grain = rng.normal(0, 3, (height, width, 1))
    return Image.fromarray((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8))


def write_clip(
    root: Path, entry: Entry, size: tuple[int, int], seconds: float, number: int
) -> None:
    """Writes a clip in the prepared layout: noise of this length, and one photo for all frames."""
    entry.audio_path(root).parent.mkdir(parents=True, exist_ok=True)
    entry.frames_path(root).mkdir(parents=True)
    noise = np.random.default_rng(number).uniform(-0.5, 0.5, round(seconds * SAMPLE_RATE))
    soundfile.write(entry.audio_path(root), noise, SAMPLE_RATE, subtype="PCM_16")
    first = entry.frame_path(root, 1)
    photo(number, *size).save(first, quality=92)
    for frame in range(2, entry.frames + 1):
        os.link(first, entry.frame_path(root, frame))


def write_prepared(
    root: Path, counts: Mapping[str, int], size: tuple[int, int] = (455, 256), seconds: float = 10
) -> None:
    """A prepared data set of so many clips a split."""
    for offset, (split, count) in enumerate(counts.items()):
        entries = [
            Entry(CLASSES[i % 3], f"{split}{i}", round(seconds * FRAME_RATE)) for i in range(count)
        ]
        for i, entry in enumerate(entries):
            write_clip(root, entry, size, seconds, 1000 * offset + i)
        write_list(root / f"{split}.csv", entries)
    (root / "prepare.json").write_text("{}\n")


def compose_experiment(task: Task, *overrides: str) -> Experiment:
    """The checked experiment that a script would get for these overrides."""
    with initialize_config_dir(version_base="1.3", config_dir=str(PROJECT / "configs")):
        config = compose(task, list(overrides), return_hydra_config=True)
    hydra = config.hydra
    with open_dict(config):
        del config["hydra"]
    experiment = experiment_from(task, config, hydra)
    check(experiment)
    check_trainer(experiment.model)
    return experiment


def medians(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The median seconds of each call, all in turns, after a round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(1 + repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(found[1:]) for name, found in times.items()}
