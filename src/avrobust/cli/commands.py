"""The commands of `avrobust` that belong to no analysis. Each docstring is what `--help` says."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from avrobust.errors import UserError
from avrobust.ranges import PositiveInt, Seed, WorkerCount

if TYPE_CHECKING:
    from avrobust.preparation.summary import PreparationSummary

NAMED = 5  # how many of the videos that were skipped for one reason are listed by name


def prepare_command(
    videos: Path,
    root: Path,
    /,
    *,
    labels: Path | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    short_side: PositiveInt = 256,
    seed: Seed = 0,
    workers: WorkerCount | None = None,
    max_seconds: PositiveInt = 3600,
    max_frames: PositiveInt = 250_000,
    max_pixels: PositiveInt = 36_000_000,
    max_memory: PositiveInt = 2048,
    max_minutes: PositiveInt = 60,
) -> None:
    """Decode raw videos once into frames, sound and split lists.

    Frames are taken 8 a second, sound at 11,025 Hz mono. A video that cannot
    be used is skipped and listed. After an interruption the same command goes on.

    Args:
        videos: folder of <class>/<clip>, any video format
        root: folder of the prepared data set
        labels: CSV file with a column path, and optionally label and split
        label_column: the CSV's column of classes; label if there is one, else the class folder
        split_column: the CSV's column of splits; split if there is one, else 60/20/20
        short_side: largest short side of a frame in pixels
        seed: draws the 60/20/20 splits
        workers: processes; one a core if not given
        max_seconds: length of a clip
        max_frames: pictures in a file
        max_pixels: pixels of a picture
        max_memory: MiB that a process may take for a video
        max_minutes: time that a video may take
    """
    from avrobust.preparation.limits import Limits
    from avrobust.preparation.prepare import prepare
    from avrobust.utils.console import out, progress_bar

    with progress_bar() as bar:
        summary = prepare(
            videos,
            root,
            labels=labels,
            label_column=label_column,
            split_column=split_column,
            short_side=short_side,
            seed=seed,
            workers=workers,
            limits=Limits(max_seconds, max_frames, max_pixels, max_memory, max_minutes),
            progress=bar,
        )
    out.print("\n".join(_summary_lines(summary, root, seed)), markup=False)


def _summary_lines(summary: "PreparationSummary", root: Path, seed: int) -> list[str]:
    """What `prepare` did, in lines."""
    clips = summary.prepared
    skipped = len(summary.rows) - len(clips)
    classes = len({clip.label for clip in clips})
    sizes = ", ".join(f"{size} {split}" for split, size in summary.sizes.items())
    drawn = f", drawn with seed {seed}" if summary.drawn else ""
    lines = [
        f"prepared {len(clips)} clips, classes: {classes}, in {root} "
        f"({summary.made} now; {sizes}{drawn}); skipped {skipped}"
    ]
    for reason, sources in summary.reasons.items():
        more = f" and {len(sources) - NAMED} more" if len(sources) > NAMED else ""
        lines.append(f"  skipped {len(sources)}, {reason}: {', '.join(sources[:NAMED])}{more}")
    if shared := sum(" " in clip.split for clip in clips):
        lines.append(f"  {shared} clips are in more than one split")
    if noted := sum(bool(clip.note) for clip in clips):
        lines.append(f"  {noted} clips have something unusual: see {root / 'manifest.csv'}")
    return lines


def report_command(
    *, runs: Path = Path("runs"), tables: bool = False, size: PositiveInt = 20
) -> None:
    """Print the table of all finished attacks, or the paper's tables.

    Writes in RUNS/report: a page to open in a browser, the tables as Markdown,
    LaTeX and CSV, figures as PDF and PNG, and results.csv of all runs.

    Args:
        runs: folder of the results
        tables: the paper's tables instead of one table of all attacks
        size: largest size of the page in MB
    """
    from avrobust.report.run import write_report
    from avrobust.report.write import markdown

    written = write_report(runs, size * 1_000_000)
    if tables and not written.paper_tables:
        sys.stdout.write(
            "no finished run belongs to a table of the paper; python attack.py sweep=table1 makes "
            "them\n\n"
        )
    shown = written.paper_tables if tables else []
    for table in shown or [written.overview]:
        sys.stdout.write(markdown(table) + "\n")
    for file in written.unreadable:
        sys.stdout.write(f"skipped {file.path}: {file.reason}\n")
    beside = "tables (Markdown, LaTeX, CSV)" + (" and figures" if written.figures else "")
    sys.stdout.write(f"written: {written.page}, {beside} beside it\n")


def status_command(sweep: str | None = None, /, *, runs: Path = Path("runs")) -> None:
    """Show what of each sweep is done, running, failed and left, and when it ends.

    Args:
        sweep: only sweeps whose name begins so, for example table1
        runs: folder of the results
    """
    from avrobust.experiments.sweeps import read_sweeps
    from avrobust.report.status import lines

    found, damaged = read_sweeps(runs)
    sweeps = [each for each in found if each.folder.name.startswith(sweep or "")]
    if not sweeps and not damaged:
        wanted = f" named {sweep}" if sweep else ""
        raise UserError(
            f"{runs}: no sweep{wanted} was begun; python attack.py sweep=table1 begins one"
        )
    for each in sweeps:
        sys.stdout.write("\n".join(lines(each)) + "\n")
    for line in damaged:
        sys.stderr.write(f"skipped {line}\n")


def dashboard_command(*, project: str = "avrobust", entity: str | None = None) -> None:
    """Make a W&B workspace and a W&B report of runs published by logger=wandb.

    They show the robustness table, parallel coordinates over fusion, defense,
    attack and eps, accuracy over eps, kept clips and learning curves.
    Needs `wandb login` and pip install 'avrobust[dashboard]'.

    Args:
        project: as logger.project
        entity: as logger.entity: a user or team; your own if not given
    """
    from avrobust.tracking.dashboard import publish_dashboard

    published = publish_dashboard(project, entity)
    sys.stdout.write(f"workspace: {published.workspace}\nreport: {published.report}\n")
