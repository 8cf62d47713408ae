"""The `avrobust` program. What a subcommand needs is imported when it runs, so that --help answers at once."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from avrobust.cli import analyses as again
from avrobust.errors import UserError

if TYPE_CHECKING:
    from avrobust.preparation.summary import PreparationSummary

NAMES = 5  # how many of the videos skipped for one reason are named


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand and gives the exit status: 0, 2 for a user's mistake, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (UserError, OSError) as error:
        sys.stderr.write(f"avrobust: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("avrobust: interrupted; the same command goes on where this one stopped\n")
        return 130
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="avrobust", description="Audio-visual robustness: raw videos in, tables out."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_prepare(commands)
    _add_report(commands)
    _add_status(commands)
    again.add_to(commands)
    _add_dashboard(commands)
    return parser


def _add_prepare(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser(
        "prepare",
        help="decode raw videos once into frames, sound and split lists",
        description="Decodes raw videos once into frames (8 a second), sound (11,025 Hz mono) and split lists. "
        "Stopped at any moment, the same command goes on. What cannot be used is skipped and listed.",
    )
    parser.add_argument(
        "videos", type=Path, metavar="VIDEOS", help="folder of <class>/<clip>, any video format"
    )
    parser.add_argument("root", type=Path, metavar="ROOT", help="where the prepared data set goes")
    parser.add_argument(
        "--labels", type=Path, metavar="CSV", help="columns path, and if wanted label and split"
    )
    parser.add_argument(
        "--label-column",
        metavar="NAME",
        help="the CSV's column of classes (label, else class folder)",
    )
    parser.add_argument(
        "--split-column", metavar="NAME", help="the CSV's column of splits (split, else 60/20/20)"
    )
    parser.add_argument(
        "--short-side",
        type=int,
        default=256,
        metavar="PIXELS",
        help="largest short side (%(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="draws the 60/20/20 splits (%(default)s)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (one a core)")
    parser.set_defaults(run=_prepare)


def _prepare(options: argparse.Namespace) -> None:
    from avrobust.preparation.prepare import prepare
    from avrobust.utils.console import out, progress_bar

    with progress_bar() as bar:
        summary = prepare(
            options.videos,
            options.root,
            labels=options.labels,
            label_column=options.label_column,
            split_column=options.split_column,
            short_side=options.short_side,
            seed=options.seed,
            workers=options.workers,
            progress=bar,
        )
    out.print("\n".join(_told(summary, options)), markup=False)


def _add_report(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser(
        "report",
        help="print the table of all finished attacks, or the paper's tables",
        description="Prints tables of whatever is finished, in Markdown, and writes in RUNS/report: a page to open in "
        "a browser, the tables as Markdown, LaTeX and CSV, figures as PDF and PNG, and results.csv of all runs.",
    )
    _add_runs(parser)
    parser.add_argument(
        "--tables", action="store_true", help="the paper's tables instead of one of all attacks"
    )
    parser.add_argument(
        "--size",
        type=again.positive,
        default=20,
        metavar="MB",
        help="of the page at most (%(default)s)",
    )
    parser.set_defaults(run=_report)


def _add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="RUNS", help="of results (%(default)s)"
    )


def _report(options: argparse.Namespace) -> None:
    from avrobust.analyses.localization.section import write_sources
    from avrobust.report.collect import collect, read_results
    from avrobust.report.figures import write_figures
    from avrobust.report.page import name, write_page
    from avrobust.report.scores import Scores
    from avrobust.report.tables import overview, tables
    from avrobust.report.write import markdown, write_tables

    runs = collect(options.runs)
    found = tables(runs, Scores(options.runs))
    if options.tables and not found:
        raise UserError(
            f"{options.runs}: no finished run belongs to a table; try python attack.py sweep=table1"
        )
    whole = overview(runs)
    folder = options.runs / "report"
    write_tables([*found, whole], runs, folder)
    results = read_results(options.runs)
    write_page(
        folder / "index.html",
        runs,
        results,
        [*found, whole],
        options.runs,
        options.size * 1_000_000,
    )
    write_figures(runs, options.runs, folder / "figures")
    write_sources({str(r["run_id"]): name(r) for r in results}, options.runs, folder / "figures")
    shown = found if options.tables else [whole]
    sys.stdout.write("\n".join(markdown(table) for table in shown))
    sys.stdout.write(
        f"\nwritten: {folder / 'index.html'}, tables (Markdown, LaTeX, CSV) and figures beside it\n"
    )


def _add_status(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser(
        "status",
        help="what of each sweep is done, running, failed and left, and when it will end",
        description="Says of each sweep what is done, running, failed (and why) and left, and when it will end.",
    )
    parser.add_argument(
        "sweep", nargs="?", help="only those whose name begins so, for example table1"
    )
    _add_runs(parser)
    parser.set_defaults(run=_status)


def _status(options: argparse.Namespace) -> None:
    from avrobust.experiments.sweeps import read_sweeps
    from avrobust.report.status import lines

    sweeps = [s for s in read_sweeps(options.runs) if s.folder.name.startswith(options.sweep or "")]
    if not sweeps:
        wanted = f" named {options.sweep}" if options.sweep else ""
        raise UserError(
            f"{options.runs}: no sweep{wanted} was begun here; python attack.py sweep=table1 begins one"
        )
    for sweep in sweeps:
        sys.stdout.write("\n".join(lines(sweep)) + "\n")


def _add_dashboard(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser(
        "dashboard",
        help="make a W&B workspace and a W&B report of the runs that logger=wandb published",
        description="Makes a W&B workspace and a W&B report of a project: the robustness table, parallel coordinates "
        "over fusion, defense, attack and eps, accuracy over eps, kept clips, learning curves. Needs `wandb login` and "
        "the package wandb-workspaces (pip install 'avrobust[dashboard]').",
    )
    parser.add_argument(
        "--project", default="avrobust", metavar="NAME", help="as logger.project (%(default)s)"
    )
    parser.add_argument(
        "--entity", metavar="NAME", help="as logger.entity: a user or team (your own)"
    )
    parser.set_defaults(run=_dashboard)


def _dashboard(options: argparse.Namespace) -> None:
    from avrobust.tracking.dashboard import publish

    made = publish(options.project, options.entity)
    sys.stdout.write(f"workspace: {made.workspace}\nreport: {made.report}\n")


def _told(summary: "PreparationSummary", options: argparse.Namespace) -> list[str]:
    """What a run of prepare did, in lines."""
    clips, skipped = summary.prepared, len(summary.rows) - len(summary.prepared)
    sizes = ", ".join(f"{size} {split}" for split, size in summary.sizes.items())
    drawn = f", drawn with seed {options.seed}" if summary.drawn else ""
    lines = [
        f"prepared {len(clips)} clips, classes: {len({clip.label for clip in clips})}, in {options.root} "
        f"({summary.made} now; {sizes}{drawn}); skipped {skipped}"
    ]
    for reason, sources in summary.reasons.items():
        more = f" and {len(sources) - NAMES} more" if len(sources) > NAMES else ""
        lines.append(f"  skipped {len(sources)}, {reason}: {', '.join(sources[:NAMES])}{more}")
    if shared := sum(" " in clip.split for clip in clips):
        lines.append(f"  {shared} clips are in more than one split")
    if noted := sum(bool(clip.note) for clip in clips):
        lines.append(
            f"  {noted} clips have something odd about them: see {options.root / 'manifest.csv'}"
        )
    return lines
