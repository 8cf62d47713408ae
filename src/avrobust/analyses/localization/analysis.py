"""The command `avrobust localize RUN`."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, final

from avrobust.analyses.base import Analysis


@final
@dataclass(frozen=True)
class Settings:
    """Which attacks are followed, and what is kept to look at."""

    levels: int = field(default=4, metadata={"help": "steps of eps"})
    conditions: tuple[Literal["audio", "visual", "audiovisual"], ...] = field(
        default=("audio", "visual", "audiovisual"),
        metadata={"help": "attacked conditions, separated by commas"},
    )
    examples: int = field(default=6, metadata={"help": "clips that are kept to look at"})
    mosaic: bool = field(
        default=False, metadata={"help": "show each picture among three of other classes"}
    )

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise ValueError(f"levels must be at least 1, not {self.levels}")


@final
class Localization(Analysis):
    """Where the model's attention takes the sound to come from, clean and attacked."""

    name = "localize"
    help = "Show where a run's model takes the sound to come from, clean and attacked."
    settings = Settings

    def run(self, folder: Path, settings: Settings) -> None:
        from tabulate import tabulate

        from avrobust.analyses.localization.command import main
        from avrobust.analyses.localization.section import HEAD, draw, rows

        content = main(
            folder,
            levels=settings.levels,
            conditions=settings.conditions,
            examples=settings.examples,
            mosaic=settings.mosaic,
        )
        draw(folder, folder / "localization", folder.name)
        table = tabulate(rows(content), HEAD, tablefmt="github", disable_numparse=True)
        boxes = "no boxes, so that no place is right or wrong"
        if content["boxes"]:
            boxes = f"{content['boxes']} with boxes"
        size = " x ".join(map(str, content["map"]))
        sys.stdout.write(f"{table}\n\nn = {content['n']}, {boxes}; maps of {size}\n")
        sys.stdout.write(f"written: {folder / 'localization.json'}, pictures beside it\n")


ANALYSIS = Localization()
