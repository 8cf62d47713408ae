"""Makes the embedded data set: one film a clip, and the lists of labels and boxes."""

import csv
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping
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
from avrobust.synthetic.film import film
from avrobust.synthetic.mp4 import read_description, write_film
from avrobust.synthetic.plan import ClipSpec, plan
from avrobust.synthetic.recording import melody, record
from avrobust.synthetic.score import perform
from avrobust.synthetic.settings import Settings
from avrobust.utils.files import whole

FPS = FRAME_RATE  # the films' frames a second: preparation takes each one
CLIPS: Mapping[Split, int] = MappingProxyType(
    {"train": 312, "val": 104, "test": 104}
)  # as many as MIT-MUSIC has


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
    """Makes the films `<class>/<id>.mp4`, `labels.csv` (path, label, split) and `boxes.csv` in a folder.

    A clip depends on the seed, its split, class and number alone. Finished clips are kept, so a
    killed run goes on where it stopped. `boxes.csv` (path, frame, x0, y0, x1, y1) says where the
    sounding instrument is in each of the 8 frames a second that preparation extracts, counted from
    1, as shares of the frame's sides.

    Args:
        videos: the folder.
        clips: how many clips each split gets, spread evenly over the eleven classes.
        seed: at least 0.
        seconds: each clip's length.
        size: the frames' side in pixels, even.
        scene: how the instruments are shown.
        workers: processes; by default one for each core.
        progress: a bar to move, already started.

    Raises:
        UserError: a number out of range.
    """
    if seed < 0 or seconds < 1 or size < 32 or size % 2:
        raise UserError(
            f"generate: wants seed >= 0, seconds >= 1, even size >= 32; got {seed}, {seconds:g}, {size}"
        )
    specs, settings = plan(clips), Settings(seed, seconds, size, SCENES[scene])
    videos.mkdir(parents=True, exist_ok=True)
    with FileLock(videos / ".generate.lock"):  # two jobs that start together share the work of one
        _make_missing(videos, settings, specs, workers, progress)
        _write_lists(videos, specs)


def make_film(videos: Path, settings: Settings, spec: ClipSpec) -> None:
    """Makes one film; it is there whole or not at all."""
    notes = melody(spec.label, spec.rng(settings.seed, "score"), settings.seconds)
    sound = record(
        spec.label, notes, spec.rng(settings.seed, "sound"), settings.seconds, settings.difficulty
    )
    motion = perform(notes, np.arange(round(settings.seconds * FPS)) / FPS)
    pictures = list(
        film(
            spec.label,
            motion,
            spec.rng(settings.seed, "picture"),
            settings.size,
            settings.difficulty,
        )
    )
    about = {"settings": repr(settings), "boxes": [p.box for p in pictures[:: FPS // FRAME_RATE]]}
    write_film(videos / spec.path, [p.pixels for p in pictures], sound, FPS, about)


def _make_missing(
    videos: Path,
    settings: Settings,
    specs: list[ClipSpec],
    workers: int | None,
    progress: Progress | None,
) -> None:
    todo = [
        spec
        for spec in specs
        if read_description(videos / spec.path).get("settings") != repr(settings)
    ]
    done = len(specs) - len(todo)
    task = (
        progress.add_task("generating films", completed=done, total=len(specs))
        if progress
        else None
    )
    for _ in _each(partial(make_film, videos, settings), todo, workers):
        if progress is not None and task is not None:
            progress.advance(task)


def _each(make: "partial[None]", specs: list[ClipSpec], workers: int | None) -> Iterator[None]:
    """Makes the films, in this process if one worker is enough."""
    count = min(workers or os.cpu_count() or 1, len(specs))
    if count <= 1:
        yield from map(make, specs)
        return
    # Spawned, not forked: the caller may have threads running.
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(make, specs)


def _write_lists(videos: Path, specs: list[ClipSpec]) -> None:
    boxes = (
        (spec.path, number, *box)
        for spec in specs
        for number, box in enumerate(read_description(videos / spec.path)["boxes"], start=1)
    )
    _write_csv(
        videos / "labels.csv",
        ("path", "label", "split"),
        ((s.path, s.label, s.split) for s in specs),
    )
    _write_csv(videos / "boxes.csv", ("path", "frame", "x0", "y0", "x1", "y1"), boxes)


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with whole(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
