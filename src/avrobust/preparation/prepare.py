"""Makes a prepared data set from raw videos: `avrobust prepare`. Killed at any moment, it goes on where it was."""

import os
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple, final

from rich.markup import escape
from rich.progress import Progress

from avrobust.data.layout import SPLITS, Entry, Split, write_list
from avrobust.errors import UserError
from avrobust.preparation.claim import claimed
from avrobust.preparation.extract import Job, Made, extract
from avrobust.preparation.manifest import Row, append_row, read_manifest, write_manifest
from avrobust.preparation.pool import Lost, run_all
from avrobust.preparation.sources import Source, named, walk
from avrobust.preparation.splits import random_splits, read_labels

PRELOAD = ("avrobust.preparation.extract", "librosa.core.audio")  # librosa takes seconds to import


class Summary(NamedTuple):
    """What a run of `prepare` did."""

    rows: tuple[Row, ...]  # one a clip, prepared or skipped
    made: int  # clips prepared by this run; the others were there already
    drawn: bool  # whether the splits were drawn at random

    @property
    def prepared(self) -> tuple[Row, ...]:
        """The usable clips."""
        return tuple(row for row in self.rows if row.status == "ok")

    @property
    def sizes(self) -> dict[Split, int]:
        """How many clips each split has."""
        return {split: sum(split in row.split.split() for row in self.prepared) for split in SPLITS}

    @property
    def reasons(self) -> dict[str, list[str]]:
        """Why which videos were skipped, the commonest reason first; numbers in the reasons are left to the rows."""
        groups: dict[str, list[str]] = defaultdict(list)
        for row in self.rows:
            if row.status == "skipped":
                groups[row.note.partition(":")[0]].append(row.source)
        return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


def prepare(
    videos: Path,
    root: Path,
    *,
    labels: Path | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    short_side: int = 256,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Decodes raw videos once into the prepared layout, with split lists and a manifest. Done clips are not done again.

    Args:
        videos: A folder of class folders of videos, whatever their endings.
        root: Where the prepared data set goes.
        labels: A CSV file, see `read_labels`; without splits in it or without it, 60/20/20 is
            drawn.
        label_column: The column of the class; None for "label" if there is one, else the class
            folder.
        split_column: The column of the split; None for "split" if there is one.
        short_side: The longest that frames' shorter side may be, in pixels.
        seed: Draws the splits.
        workers: How many processes; None for one a core.
        progress: A bar to move, already started.

    Raises:
        UserError: the input makes no sense, the root holds something else, or no video is usable.
    """
    videos, root = videos.absolute(), root.absolute()
    _check(videos, root)
    _check_numbers(short_side, seed, workers)
    sources = (
        named(videos, read_labels(labels, label_column, split_column)) if labels else walk(videos)
    )
    drawn = not any(source.splits for source in sources)
    if drawn:
        sources = _draw(sources, seed)
    with claimed(root, short_side) as scratch:
        done = _done(videos, root, sources)
        jobs = _jobs(
            videos,
            root,
            [source for source in sources if source.key not in done],
            scratch,
            short_side,
        )
        made = _make(
            jobs,
            root / "manifest.csv",
            workers or _cores(),
            _Bar(progress, len(done), len(sources)),
        )
        return _not_empty(Summary(tuple(_settle(root, sources, drawn)), made, drawn), root)


def _not_empty(summary: Summary, root: Path) -> Summary:
    if not summary.prepared:
        first = summary.rows[0]
        raise UserError(
            f"no usable video; {first.source}: {first.note} (all in {root / 'manifest.csv'})"
        )
    return summary


def _check_numbers(short_side: int, seed: int, workers: int | None) -> None:
    if short_side < 1 or (workers is not None and workers < 1):
        raise UserError("--short-side and --workers must be at least 1")
    if not 0 <= seed < 2**32:
        raise UserError(f"--seed {seed}: must be from 0 to 2^32 - 1")


def _check(videos: Path, root: Path) -> None:
    if root.resolve().is_relative_to(videos.resolve()):
        raise UserError(f"{root}: lies inside the folder of videos; choose a folder elsewhere")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _draw(sources: list[Source], seed: int) -> list[Source]:
    """Draws the splits of all videos that can be tried, before it is known which are unusable."""
    tried = [source for source in sources if not source.problem]
    drawn = iter(random_splits([source.label for source in tried], seed))
    return [
        source if source.problem else source._replace(splits=(next(drawn),)) for source in sources
    ]


def _done(videos: Path, root: Path, sources: list[Source]) -> set[tuple[str, str]]:
    """Which clips an earlier run made from files that have not changed since; only their rows stay in the manifest."""
    rows = {
        (row.source, row.label): row
        for row in read_manifest(root / "manifest.csv")
        if row.status == "ok"
    }
    if rows and {row.source for row in rows.values()}.isdisjoint(source.name for source in sources):
        raise UserError(f"{root}: holds clips of other videos; choose another folder")
    kept = {
        source.key: rows[source.key]
        for source in sources
        if _is_done(videos, root, source, rows.get(source.key))
    }
    write_manifest(root / "manifest.csv", kept.values())
    return set(kept)


def _is_done(videos: Path, root: Path, source: Source, row: Row | None) -> bool:
    if row is None or (row.stem, row.size, row.modified) != (
        source.stem,
        *_stat(videos / source.name),
    ):
        return False
    entry = Entry(row.label, row.stem, row.frames)
    return entry.audio_path(root).is_file() and entry.frame_path(root, row.frames).is_file()


def _stat(video: Path) -> tuple[int, int]:
    try:
        status = video.stat()
    except OSError:  # a missing file is reported with its clip
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _jobs(
    videos: Path, root: Path, sources: list[Source], scratch: Path, short_side: int
) -> dict[Job, Row]:
    """What is to be made, each with its row of the manifest as far as that is known."""
    jobs = {}
    for number, source in enumerate(sources):
        video = videos / source.name
        job = Job(
            video,
            root,
            scratch / str(number),
            source.label,
            source.stem,
            short_side,
            source.problem,
        )
        jobs[job] = Row(
            source.name, source.label, source.stem, "", 0, 0, "skipped", "", *_stat(video)
        )
    return jobs


def _make(jobs: dict[Job, Row], manifest: Path, workers: int, bar: "_Bar") -> int:
    """Makes all clips and says how many came out; the manifest gains a row as each one ends."""
    made = 0
    for job, result in run_all(
        extract, list(jobs), workers=workers, limit=_limit, watch=bar.show, preload=PRELOAD
    ):
        clip = Made(0, 0, result.reason) if isinstance(result, Lost) else result
        row = jobs[job]._replace(frames=clip.frames, samples=clip.samples, note=clip.note)
        append_row(manifest, row._replace(status="ok") if clip.frames else row)
        made += clip.frames > 0
        bar.step()
    return made


def _limit(job: Job) -> float:
    """Seconds after which a decoder counts as hung: five minutes, and one second for every 20 kB."""
    return 300 + _stat(job.video)[0] / 20_000


def _settle(root: Path, sources: list[Source], drawn: bool) -> list[Row]:
    """Writes the split lists and the whole manifest, in the order of the sources."""
    found = {(row.source, row.label): row for row in read_manifest(root / "manifest.csv")}
    rows = [found[source.key]._replace(split=" ".join(source.splits)) for source in sources]
    if drawn:
        rows = _mend(rows)
    for split in SPLITS:
        aside = root / f".{split}.csv"
        usable = (row for row in rows if row.status == "ok" and split in row.split.split())
        write_list(aside, (Entry(row.label, row.stem, row.frames) for row in usable))
        aside.replace(root / f"{split}.csv")
    write_manifest(root / "manifest.csv", rows)
    return rows


def _mend(rows: list[Row]) -> list[Row]:
    """Moves one clip to train for each class whose train clips all turned out unusable; no other clip moves."""
    usable = [row for row in rows if row.status == "ok"]
    first = {row.label: row for row in reversed(usable)}
    for row in usable:
        if row.split == "train":
            first.pop(row.label, None)
    moved = set(first.values())
    return [row._replace(split="train") if row in moved else row for row in rows]


@final
class _Bar:
    """Shows how far a run is and what is running, if there is somewhere to show it."""

    def __init__(self, progress: Progress | None, done: int, total: int) -> None:
        self.progress = progress
        self.task = (
            progress.add_task("preparing", completed=done, total=total) if progress else None
        )

    def show(self, running: list[Job]) -> None:
        """Names the clips at work."""
        if self.progress is not None and self.task is not None:
            names = ", ".join(f"{job.label}/{job.stem}" for job in running[:2])
            self.progress.update(self.task, description=escape(f"preparing {names}"))

    def step(self) -> None:
        """One clip has ended."""
        if self.progress is not None and self.task is not None:
            self.progress.advance(self.task)
