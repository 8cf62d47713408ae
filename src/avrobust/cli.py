"""The `avrobust` program. What a subcommand needs is imported when it runs, so that --help answers at once."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from avrobust.errors import UserError

if TYPE_CHECKING:
    from avrobust.data.prepare import Summary

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
    parser = _Parser(prog="avrobust", description="Audio-visual robustness: raw videos in, tables out.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_prepare(commands)
    _add_report(commands)
    return parser


def _add_prepare(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser(
        "prepare",
        help="decode raw videos once into frames, sound and split lists",
        description="Decodes raw videos once into frames (8 a second), sound (11,025 Hz mono) and split lists. "
        "Stopped at any moment, the same command goes on. What cannot be used is skipped and listed.",
    )
    parser.add_argument("videos", type=Path, metavar="VIDEOS", help="folder of <class>/<clip>, any video format")
    parser.add_argument("root", type=Path, metavar="ROOT", help="where the prepared data set goes")
    parser.add_argument("--labels", type=Path, metavar="CSV", help="columns path, and if wanted label and split")
    parser.add_argument("--label-column", metavar="NAME", help="the CSV's column of classes (label, else class folder)")
    parser.add_argument("--split-column", metavar="NAME", help="the CSV's column of splits (split, else 60/20/20)")
    parser.add_argument(
        "--short-side", type=int, default=256, metavar="PIXELS", help="largest short side (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="draws the 60/20/20 splits (%(default)s)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (one a core)")
    parser.set_defaults(run=_prepare)


def _prepare(options: argparse.Namespace) -> None:
    from avrobust.console import out, progress_bar
    from avrobust.data.prepare import prepare

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
    parser = commands.add_parser("report", help="print the table of all finished attacks (Markdown)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="FOLDER", help="of results (%(default)s)")
    parser.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> None:
    from avrobust.report.collect import collect, markdown

    sys.stdout.write(f"{markdown(collect(options.runs))}\n")


def _told(summary: "Summary", options: argparse.Namespace) -> list[str]:
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
        lines.append(f"  {noted} clips have something odd about them: see {options.root / 'manifest.csv'}")
    return lines
