"""What several tests need: configs, tiny clips, a prepared data set on disk, the command line."""

import copy
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from hydra import compose, initialize_config_dir
from omegaconf import open_dict
from PIL import Image

from avrobust.attacks.base import Attack
from avrobust.data.layout import SAMPLE_RATE, Entry, write_list
from avrobust.defenses.base import Defense
from avrobust.experiments.build import build, check, check_trainer
from avrobust.experiments.config import experiment_from
from avrobust.experiments.options import Option
from avrobust.experiments.schema import register
from avrobust.experiments.settings import Experiment, Task
from avrobust.models.classifier import AVClassifier
from avrobust.tasks.setup import build_model
from avrobust.types import Batch, Clip
from tests import forking

register()  # the schemas that the primary configs list

PROJECT = Path(__file__).parents[1]
CONFIGS = PROJECT / "configs"
AUDIO_SAMPLES, IMAGE_SIZE = 4096, 32
CLASSES = ("bell", "drum", "horn")


def options(group: str) -> list[str]:
    """Every option of a config group, found on disk, so that a new one is tested at once."""
    found = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
    assert found, group
    return found


@cache
def experiment_for(task: Task, *overrides: str) -> Experiment:
    """The checked experiment that a script would get for these overrides."""
    return experiment_with(CONFIGS, task, *overrides)


def experiment_with(configs: Path, task: Task, *overrides: str) -> Experiment:
    """The checked experiment that a script with this folder of configs would get."""
    with initialize_config_dir(version_base="1.3", config_dir=str(configs)):
        config = compose(task, list(overrides), return_hydra_config=True)
    hydra = config.hydra
    with open_dict(config):
        del config["hydra"]
    experiment = experiment_from(task, config, hydra)
    check(experiment)
    check_trainer(experiment.model)
    return experiment


def option_for(group: str, option: str) -> Option:
    """One option of a group, as a script would get it."""
    overrides = (f"{group}={option}", *OFFLINE.get(option, ()))
    if group in ("attack", "threat"):
        chosen: Option = getattr(experiment_for("attack", *overrides).evaluation, group)
        return chosen
    if group == "logger":
        logger = experiment_for("train", *overrides).execution.logger
        assert logger is not None
        return logger
    model_option: Option = getattr(experiment_for("train", *overrides).model, group)
    return model_option


def built(group: str, option: str, **more: object) -> Any:
    """One option of a group, built as a task builds it."""
    return build(group, option_for(group, option), **more)


@cache
def build_short(option: str) -> Attack:
    """An attack with as few steps and queries as its tests need.

    Attacks hold no state, so one does for all tests.
    """
    chosen = option_for("attack", option)
    shorter = {}
    for name, most in SHORT_ATTACK.items():
        if name in chosen.values:
            shorter[name] = min(most, chosen.values[name])
    short: Attack = build("attack", chosen.with_values(**shorter))
    return short


SHORT_ATTACK = {"steps": 4, "queries": 20, "restarts": 2}
OFFLINE = {"resnet18_imagenet": ("visual.weights=null",)}  # tests have no network


def model_for(*overrides: str, classes: int = 3, warm: bool = True) -> AVClassifier:
    """A small model of random weights; `warm` gives its BatchNorm statistics of random clips."""
    return copy.deepcopy(_model_for(overrides, classes, warm))


@cache
def _model_for(overrides: tuple[str, ...], classes: int, warm: bool) -> AVClassifier:
    narrow = ("visual=cnn", "audio.widths=[8,8,8,16]", "visual.widths=[8,8,8,16]")
    settings = experiment_for("train", *narrow, *overrides).model
    defense: Defense = build("defense", settings.defense)
    model = build_model(settings, classes, defense)
    defense.setup(model, [batch_of(12, seed=99, classes=classes)])
    if warm:
        for parameter in model.head.parameters():
            parameter.data.mul_(8)  # confident enough that attacks have something to turn
        for seed in range(12):
            model.train()(clip_of(16, seed=seed))
    return model.eval()


def clip_of(count: int, *, seed: int = 0, frames: int = 1) -> Clip:
    """Random clips whose values come near both bounds."""
    rng = torch.Generator().manual_seed(seed)
    audio = torch.rand(count, 1, AUDIO_SAMPLES, generator=rng) * 2 - 1
    return Clip(audio, torch.rand(count, frames, 3, IMAGE_SIZE, IMAGE_SIZE, generator=rng))


def batch_of(count: int, *, seed: int = 0, classes: int = 3) -> Batch:
    """Random clips with labels and keys."""
    return Batch(
        clip_of(count, seed=seed),
        torch.arange(count) % classes,
        tuple(f"clip/{i}" for i in range(count)),
    )


def write_prepared(
    root: Path, counts: Sequence[tuple[str, int]] = (("train", 24), ("val", 9), ("test", 9))
) -> None:
    """A data set in the real layout whose classes are learnable.

    Each class has a tone and a colored patch, and noise.
    """
    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    # A data set with its description is known to be whole, so that finished runs on it are found.
    (root / "prepare.json").write_text('{"layout": 1}')
    for split, count in counts:
        entries = [
            _write_clip(root, Entry(CLASSES[i % 3], f"{split} {i}", 20), i % 3, rng)
            for i in range(count)
        ]
        write_list(root / f"{split}.csv", entries)


def _write_clip(root: Path, entry: Entry, label: int, rng: np.random.Generator) -> Entry:
    entry.audio_path(root).parent.mkdir(parents=True, exist_ok=True)
    entry.frames_path(root).mkdir(parents=True)
    time = np.arange(int(2.5 * SAMPLE_RATE)) / SAMPLE_RATE
    sound = 0.3 * np.sin(2 * np.pi * (300 + 400 * label) * time) + 0.05 * rng.normal(size=time.size)
    soundfile.write(entry.audio_path(root), sound.clip(-1, 1), SAMPLE_RATE, subtype="PCM_16")
    picture = rng.integers(0, 160, (40, 52, 3), dtype=np.uint8)
    picture[10:30, 15:40, label] = 230
    for number in range(1, entry.frames + 1):
        Image.fromarray(picture).save(entry.frame_path(root, number))
    return entry


AVROBUST = str(Path(sys.executable).with_name("avrobust"))  # the installed program
NARROW = (
    "audio.widths=[8,8,8,16]",
    "visual.widths=[8,8,8,16]",
    "dataset.audio_samples=4096",
    "dataset.image_size=32",
)
SHORT = ("training.epochs=2", "training.milestones=[]", "training.batch_size=8", "trainer=cpu")


def attack(prepared: Path, runs: Path, *more: str) -> tuple[str, ...]:
    """An attack.py command on tiny data that takes seconds, training included; `-m` goes first."""
    flags, overrides = [m for m in more if m == "-m"], [m for m in more if m != "-m"]
    root = ("dataset=folder", f"dataset.root={prepared}", f"runs={runs}")
    return ("attack.py", *flags, *root, *NARROW, *SHORT, *overrides)


def run_script(
    *command: str, cwd: Path = PROJECT, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """Runs a script of the project as a user would, in a fork that has imported the libraries."""
    script, *arguments = command
    return forking.run(
        str(PROJECT / script), *arguments, cwd=cwd, env=_environment(), timeout=timeout
    )


def start_script(*command: str, cwd: Path = PROJECT) -> forking.Process:
    """Starts a script of the project in a fork, to be signaled or waited for."""
    script, *arguments = command
    return forking.start(str(PROJECT / script), *arguments, cwd=cwd, env=_environment())


def run_in_new_interpreter(
    *command: str, flags: Sequence[str] = (), cwd: Path = PROJECT, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """Runs a script, imports included, in a process of its own.

    This takes seconds, so it is for tests of the start itself.

    Args:
        *command: the script and its arguments.
        flags: Python's own, for example `-X importtime`.
        cwd: the working folder.
        timeout: in seconds.
    """
    script, *arguments = command
    line = [sys.executable, *flags, str(PROJECT / script), *arguments]
    return subprocess.run(
        line, cwd=cwd, env=_environment(), capture_output=True, text=True, timeout=timeout
    )


def _environment() -> dict[str, str]:
    # One thread: the tests run side by side on two cores.
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
