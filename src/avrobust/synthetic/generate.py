"""Generates the synthetic data set: one film a clip, and the lists of labels and boxes."""

import csv
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
from filelock import FileLock
from rich.progress import Progress

from avrobust.data.layout import FRAME_RATE, Split
from avrobust.errors import UserError
from avrobust.synthetic.difficulty import SCENES, Scene
from avrobust.synthetic.film import draw_film
from avrobust.synthetic.mp4 import read_description, write_film
from avrobust.synthetic.plan import ClipSpec, plan
from avrobust.synthetic.recording import melody, render_recording
from avrobust.synthetic.score import perform
from avrobust.synthetic.settings import Settings
from avrobust.utils.files import atomic_write

FPS = FRAME_RATE  # frames a second of the films; preparation takes every frame

# The numbers of clips of MIT-MUSIC.
CLIPS: Mapping[Split, int] = MappingProxyType({"train": 312, "val": 104, "test": 104})


def generate(
    videos: Path,
    *,
    clips: Mapping[Split, int] = CLIPS,
    seed: int = 0,
    seconds: float = 6.0,
    size: int = 112,
    scene: Scene = "close",
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Generates the films `<class>/<id>.mp4`, `labels.csv` and `boxes.csv` in a folder.

    A clip depends on the seed, its split, its class and its number alone. Finished clips are kept,
    so a killed run goes on where it stopped. `labels.csv` has the columns path, label and split.
    `boxes.csv` has the columns path, frame, x0, y0, x1 and y1: the bounding box of the sounding
    instrument in each frame that preparation extracts (8 a second, counted from 1), as fractions of
    the frame's width and height.

    Args:
        videos: The folder.
        clips: Number of clips of each split, spread evenly over the eleven classes.
        seed: Seed of all clips, at least 0.
        seconds: Length of each clip, at least 1.
        size: Width and height of the frames in pixels, even and at least 32.
        scene: How the instruments are shown.
        workers: Number of processes; None for one a core.
        progress: A progress display that has been started.

    Raises:
        UserError: A number is out of range.
    """
    if seed < 0 or seconds < 1 or size < 32 or size % 2:
        raise UserError(
            "generate: wants seed >= 0, seconds >= 1, even size >= 32; "
            f"got {seed}, {seconds:g}, {size}"
        )
    specs = plan(clips)
    settings = Settings(seed, seconds, size, SCENES[scene])
    videos.mkdir(parents=True, exist_ok=True)
    # Of two jobs that start together, one generates and the other waits.
    with FileLock(videos / ".generate.lock"):
        _generate_missing(videos, settings, specs, workers, progress)
        _write_lists(videos, specs)


def generate_film(videos: Path, settings: Settings, spec: ClipSpec) -> None:
    """Generates one film, completely or not at all."""
    notes = melody(spec.label, spec.rng(settings.seed, "score"), settings.seconds)
    sound = render_recording(
        spec.label, notes, spec.rng(settings.seed, "sound"), settings.seconds, settings.difficulty
    )
    motion = perform(notes, np.arange(round(settings.seconds * FPS)) / FPS)
    rng = spec.rng(settings.seed, "picture")
    frames, boxes = [], []
    for frame in draw_film(spec.label, motion, rng, settings.size, settings.difficulty):
        frames.append(frame.pixels)
        boxes.append(frame.box)
    # The text of the settings is part of the file: any change of it changes every film's bytes.
    description = {"settings": repr(settings), "boxes": boxes[:: FPS // FRAME_RATE]}
    write_film(videos / spec.path, frames, sound, FPS, description)


def _generate_missing(
    videos: Path,
    settings: Settings,
    specs: list[ClipSpec],
    workers: int | None,
    progress: Progress | None,
) -> None:
    missing = [spec for spec in specs if not _is_finished(videos / spec.path, settings)]
    task = None
    if progress is not None:
        done = len(specs) - len(missing)
        task = progress.add_task("generating films", completed=done, total=len(specs))
    for _ in _map(partial(generate_film, videos, settings), missing, workers):
        if progress is not None and task is not None:
            progress.advance(task)


def _is_finished(path: Path, settings: Settings) -> bool:
    """Whether the film exists and was generated with these settings."""
    return bool(read_description(path).get("settings") == repr(settings))


def _map(function: "partial[None]", specs: list[ClipSpec], workers: int | None) -> Iterator[None]:
    """Calls the function for each clip, in this process if there is only one worker."""
    count = min(workers or os.cpu_count() or 1, len(specs))
    if count <= 1:
        yield from map(function, specs)
        return
    # Spawned, not forked: the caller may have threads running.
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(function, specs)


def _write_lists(videos: Path, specs: list[ClipSpec]) -> None:
    labels: list[tuple[object, ...]] = [("path", "label", "split")]
    boxes: list[tuple[object, ...]] = [("path", "frame", "x0", "y0", "x1", "y1")]
    for spec in specs:
        labels.append((spec.path, spec.label, spec.split))
        edges = read_description(videos / spec.path)["boxes"]
        for number, box in enumerate(edges, start=1):
            boxes.append((spec.path, number, *box))
    _write_csv(videos / "labels.csv", labels)
    _write_csv(videos / "boxes.csv", boxes)


def _write_csv(path: Path, rows: list[tuple[object, ...]]) -> None:
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows(rows)
