"""Prepares a data set from raw videos: the command `avrobust prepare`.

A killed run goes on where it stopped.
"""

import os
from functools import partial
from pathlib import Path
from typing import final

from rich.markup import escape
from rich.progress import Progress

from avrobust.data.layout import SPLITS, Entry, Split, write_list
from avrobust.errors import UserError
from avrobust.preparation.extract import ExtractionJob, ExtractionResult, extract_clip
from avrobust.preparation.finished import file_stamp, keep_finished
from avrobust.preparation.limits import Limits, limit_memory
from avrobust.preparation.manifest import (
    ManifestRow,
    append_row,
    read_manifest,
    write_manifest,
)
from avrobust.preparation.output_folder import locked_output_folder
from avrobust.preparation.pool import WorkerFailure, map_unordered
from avrobust.preparation.sources import SourceVideo, find_labeled_videos, find_videos
from avrobust.preparation.splits import random_splits, read_labels
from avrobust.preparation.summary import PreparationSummary
from avrobust.ranges import PositiveInt, Seed, WorkerCount
from avrobust.utils.arguments import checks_arguments

# librosa takes seconds to import.
PRELOAD = ("avrobust.preparation.extract", "librosa.core.audio")


@checks_arguments
def prepare(
    videos: Path,
    root: Path,
    *,
    labels: Path | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    short_side: PositiveInt = 256,
    seed: Seed = 0,
    workers: WorkerCount | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> PreparationSummary:
    """Decodes raw videos to the prepared layout, and writes the split lists and a manifest.

    Clips that an earlier run has finished are kept, unless their videos have changed.

    Args:
        videos: Folder of class folders of videos, with any extension.
        root: Folder of the prepared data set.
        labels: CSV file with the column path (relative to `videos`) and, if wanted, label and
            split. Without it, or without splits in it, splits of 60/20/20 are drawn.
        label_column: Name of the column of labels; None for "label" if it exists, else the name of
            the class folder.
        split_column: Name of the column of splits; None for "split" if it exists.
        short_side: Frames whose shorter side is longer than this, in pixels, are made smaller.
        seed: Seed of the random splits.
        workers: Number of processes; None for one a core.
        limits: The largest video to be decoded; None for the defaults.
        progress: A progress display that has been started.

    Raises:
        ValueError: A number is out of range.
        UserError: The root is inside the folder of videos or holds other files, or no video is
            usable.
    """
    videos, root = videos.absolute(), root.absolute()
    limits = limits or Limits()
    if root.resolve().is_relative_to(videos.resolve()):
        raise UserError(f"{root}: lies inside the folder of videos; choose a folder elsewhere")
    if labels:
        sources = find_labeled_videos(videos, read_labels(labels, label_column, split_column))
    else:
        sources = find_videos(videos)
    drawn = not any(source.splits for source in sources)
    if drawn:
        sources = _draw_splits(sources, seed)
    with locked_output_folder(root, short_side) as scratch:
        finished = keep_finished(videos, root, sources)
        missing = [source for source in sources if source.key not in finished]
        bar = _Bar(progress, len(finished), len(sources))
        jobs = _make_jobs(videos, root, missing, scratch, short_side, limits)
        made = _extract_all(jobs, root / "manifest.csv", workers or _cores(), limits, bar)
        rows = _write_lists(root, sources, drawn=drawn)
    summary = PreparationSummary(tuple(rows), made, drawn)
    if not summary.prepared:
        raise UserError(
            f"no usable video; {rows[0].source}: {rows[0].note} (all in {root / 'manifest.csv'})"
        )
    return summary


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _draw_splits(sources: list[SourceVideo], seed: int) -> list[SourceVideo]:
    """Draws the splits of all videos that can be tried.

    Which videos turn out to be unusable does not change the splits of the others.
    """
    splits = random_splits([source.label for source in sources if not source.problem], seed)
    remaining = iter(splits)
    with_splits = []
    for source in sources:
        if not source.problem:
            source = source._replace(splits=(next(remaining),))
        with_splits.append(source)
    return with_splits


def _make_jobs(
    videos: Path,
    root: Path,
    sources: list[SourceVideo],
    scratch: Path,
    short_side: int,
    limits: Limits,
) -> dict[ExtractionJob, ManifestRow]:
    """The jobs, each with its manifest row, in which the result is still missing."""
    jobs = {}
    for number, source in enumerate(sources):
        job = ExtractionJob(
            video=videos / source.path,
            root=root,
            scratch=scratch / str(number),
            label=source.label,
            stem=source.stem,
            short_side=short_side,
            problem=source.problem,
            limits=limits,
        )
        stamp = file_stamp(job.video)
        jobs[job] = ManifestRow(
            source=source.name,
            label=source.label,
            stem=source.stem,
            split="",
            frames=0,
            samples=0,
            status="skipped",
            note="",
            size=stamp.size,
            modified=stamp.modified,
            changed=stamp.changed,
        )
    return jobs


def _extract_all(
    jobs: dict[ExtractionJob, ManifestRow],
    manifest: Path,
    workers: int,
    limits: Limits,
    bar: "_Bar",
) -> int:
    """Extracts all clips, and adds a row to the manifest when a clip is finished.

    Returns:
        The number of clips that are usable.
    """
    usable = 0
    results = map_unordered(
        extract_clip,
        list(jobs),
        workers=workers,
        time_limit=_time_limit,
        initializer=partial(limit_memory, limits.memory),
        replace_after=_is_skipped,
        on_running=bar.show,
        preload=PRELOAD,
    )
    for job, result in results:
        if isinstance(result, WorkerFailure):
            result = ExtractionResult(0, 0, result.reason)
        row = jobs[job]._replace(
            frames=result.frames,
            samples=result.samples,
            note=result.note,
            content=result.content,
            source_content=result.source_content,
            stamp=result.stamp,
        )
        if result.frames:
            row = row._replace(status="ok")
            usable += 1
        append_row(manifest, row)
        bar.step()
    return usable


def _is_skipped(result: ExtractionResult) -> bool:
    return not result.frames


def _time_limit(job: ExtractionJob) -> float:
    """Seconds after which a decoder counts as hung that has not ended itself by its own limit."""
    return 60 * (job.limits.minutes + 1)


def _write_lists(root: Path, sources: list[SourceVideo], *, drawn: bool) -> list[ManifestRow]:
    """Writes the split lists, and the manifest in the order of the sources."""
    manifest = root / "manifest.csv"
    rows_by_key = {(row.source, row.label): row for row in read_manifest(manifest)}
    rows = [rows_by_key[source.key]._replace(split=" ".join(source.splits)) for source in sources]
    if drawn:
        rows = _fill_train(rows)
    entries: dict[Split, list[Entry]] = {split: [] for split in SPLITS}
    for row in rows:
        if row.status == "ok":
            for split in SPLITS:
                if split in row.split.split():
                    entries[split].append(Entry(row.label, row.stem, row.frames))
    for split in SPLITS:
        write_list(root / f"{split}.csv", entries[split])
    write_manifest(manifest, rows)
    return rows


def _fill_train(rows: list[ManifestRow]) -> list[ManifestRow]:
    """Moves one clip to train for each class that has no usable clip there. No other clip moves."""
    usable = [row for row in rows if row.status == "ok"]
    in_train = {row.label for row in usable if row.split == "train"}
    moved = set()
    for row in usable:
        if row.label not in in_train:
            in_train.add(row.label)
            moved.add(row)
    return [row._replace(split="train") if row in moved else row for row in rows]


@final
class _Bar:
    """Shows the progress of a run and the running clips, if there is a progress display."""

    def __init__(self, progress: Progress | None, done: int, total: int) -> None:
        self.progress = progress
        self.task = None
        if progress is not None:
            self.task = progress.add_task("preparing", completed=done, total=total)

    def show(self, running: list[ExtractionJob]) -> None:
        """Shows the names of the first two running clips."""
        if self.progress is not None and self.task is not None:
            names = ", ".join(f"{job.label}/{job.stem}" for job in running[:2])
            self.progress.update(self.task, description=escape(f"preparing {names}"))

    def step(self) -> None:
        """Counts one finished clip."""
        if self.progress is not None and self.task is not None:
            self.progress.advance(self.task)
