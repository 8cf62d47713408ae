"""The commands that take a finished run up again: `avrobust surface`, `localize`, `embeddings`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from avrobust.types import STANDARD_NAMES as CONDITIONS

ATTACKED = CONDITIONS[1:]

Commands = Any  # argparse's type of what add_subparsers returns is private


def add_to(commands: Commands) -> None:
    """Adds them to a program's subcommands."""
    _add_surface(commands)
    _add_localize(commands)
    _add_embeddings(commands)


def _add_surface(commands: Commands) -> None:
    parser = commands.add_parser(
        "surface",
        help="how strong a finished run's attack has to be, on sound, video and both",
        description="Attacks the model of a finished run again, with ever smaller budgets, and finds for each clip the "
        "smallest that fools it: on the sound, on the video, on both, and over every pair of budgets. Writes "
        "strength.json, strength.csv and a picture into the run's folder.",
    )
    parser.add_argument(
        "folder",
        type=Path,
        metavar="RUN",
        help="its folder, such as runs/attack/synthetic-concat-...",
    )
    parser.add_argument(
        "--levels", type=positive, default=16, metavar="N", help="steps of a curve (%(default)s)"
    )
    parser.add_argument(
        "--grid", type=positive, default=8, metavar="N", help="steps of each budget (%(default)s)"
    )
    parser.set_defaults(run=_surface)


def positive(text: str) -> int:
    """Argparse's type of a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def _surface(options: argparse.Namespace) -> None:
    from avrobust.analyses.strength.command import main
    from avrobust.analyses.strength.section import draw

    content = main(options.folder, levels=options.levels, grid=options.grid)
    draw(content, options.folder / "strength", options.folder.name)
    for condition, curve in content["curves"].items():
        half = (
            "more than the largest"
            if curve["median"] is None
            else f"{curve['median']:.3g} of the largest"
        )
        sys.stdout.write(f"{condition}: half of the recognized clips fall to {half} budget\n")
    sys.stdout.write(f"written: {options.folder / 'strength.png'}, .pdf, .json and .csv\n")


def _add_localize(commands: Commands) -> None:
    parser = commands.add_parser(
        "localize",
        help="where a finished run's model takes the sound to come from, clean and attacked",
        description="Attacks the model of a finished run again, with shares of its budgets, and follows where its "
        "attention takes the sound to come from: how often that is the true place, where the data set has boxes, and "
        "how often an attack moves it. Writes localization.json and pictures into the run's folder.",
    )
    parser.add_argument(
        "folder",
        type=Path,
        metavar="RUN",
        help="its folder, such as runs/attack/synthetic-attention-...",
    )
    parser.add_argument(
        "--levels", type=positive, default=4, metavar="N", help="steps of eps (%(default)s)"
    )
    parser.add_argument(
        "--conditions",
        type=_conditions,
        default=ATTACKED,
        metavar="LIST",
        help=f"of {','.join(ATTACKED)} (all)",
    )
    parser.add_argument(
        "--examples", type=int, default=6, metavar="N", help="clips to look at (%(default)s)"
    )
    parser.add_argument(
        "--mosaic", action="store_true", help="show each picture among three of other classes"
    )
    parser.set_defaults(run=_localize)


def _conditions(text: str) -> tuple[str, ...]:
    named = text.split(",")
    if unknown := [name for name in named if name not in ATTACKED]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(ATTACKED)}")
    return tuple(condition for condition in ATTACKED if condition in named)


def _localize(options: argparse.Namespace) -> None:
    from tabulate import tabulate

    from avrobust.analyses.localization.command import main
    from avrobust.analyses.localization.section import HEAD, draw, rows

    content = main(
        options.folder,
        levels=options.levels,
        conditions=options.conditions,
        examples=options.examples,
        mosaic=options.mosaic,
    )
    draw(options.folder, options.folder / "localization", options.folder.name)
    sys.stdout.write(tabulate(rows(content), HEAD, tablefmt="github", disable_numparse=True) + "\n")
    boxes = (
        f"{content['boxes']} with boxes"
        if content["boxes"]
        else "no boxes, so that no place is right or wrong"
    )
    sys.stdout.write(
        f"\nn = {content['n']}, {boxes}; maps of {' x '.join(map(str, content['map']))}\n"
    )
    sys.stdout.write(f"written: {options.folder / 'localization.json'}, pictures beside it\n")


def _add_embeddings(commands: Commands) -> None:
    parser = commands.add_parser(
        "embeddings",
        help="where finished runs' models put clips, clean and attacked: for t-SNE, compactness, cosine",
        description="Attacks the models of finished runs again and embeds the clips, clean and attacked. Writes "
        "embeddings.json into each run's folder, which `avrobust report` then draws: t-SNE of each modality, and the "
        "audio-visual cosine by budget. Give a defended run and its undefended one to see both side by side.",
    )
    parser.add_argument(
        "folders",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="such as runs/defend/synthetic-concat-...",
    )
    parser.add_argument(
        "--eps",
        type=_numbers,
        metavar="EPS,EPS",
        help="budgets for the cosine, beside 0 and the run's own (1/4, 1/2, 1, 3/2 and 2 times the run's)",
    )
    parser.add_argument(
        "--clips", type=positive, default=400, metavar="N", help="most in a t-SNE (%(default)s)"
    )
    parser.set_defaults(run=_embeddings)


def _numbers(text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = [-1.0]
    if not all(0 <= value < float("inf") for value in values):
        raise argparse.ArgumentTypeError(
            f"must be numbers of at least 0, such as 0.003,0.006, not {text}"
        )
    return values


def _embeddings(options: argparse.Namespace) -> None:
    from avrobust.analyses.embeddings.command import main
    from avrobust.tasks.finished import config_of

    for folder in options.folders:
        config_of(folder)  # a wrong name is told before an hour of work
    for folder in options.folders:
        content = main(folder, eps=options.eps, clips=options.clips)
        for stage, modalities in content["compactness"].items():
            for modality, values in modalities.items():
                ratios = (f"{c} {v['intra_over_inter']:.3f}" for c, v in values.items() if v)
                sys.stdout.write(
                    f"{stage} {modality}, distance within over between classes: {', '.join(ratios)}\n"
                )
        if reason := content["cosine"].get("left_out"):
            sys.stdout.write(f"{reason}\n")
        sys.stdout.write(f"written: {folder / 'embeddings.json'}; avrobust report draws it\n")
