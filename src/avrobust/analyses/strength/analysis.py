"""The command `avrobust surface RUN`."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from avrobust.analyses.base import Analysis


@final
@dataclass(frozen=True)
class Settings:
    """How finely the budgets are searched."""

    levels: int = field(default=16, metadata={"help": "steps of a curve"})
    grid: int = field(default=8, metadata={"help": "steps of each budget on the surface"})

    def __post_init__(self) -> None:
        for name in ("levels", "grid"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


@final
class Surface(Analysis):
    """The smallest budget that fools each clip, on audio, video and both."""

    name = "surface"
    help = "Find the smallest budgets that fool a run's model, on audio, video and both."
    settings = Settings

    def run(self, folder: Path, settings: Settings) -> None:
        from avrobust.analyses.strength.command import main
        from avrobust.analyses.strength.section import draw

        content = main(folder, levels=settings.levels, grid=settings.grid)
        draw(content, folder / "strength", folder.name)
        for condition, curve in content["curves"].items():
            half = "more than the largest"
            if curve["median"] is not None:
                half = f"{curve['median']:.3g} of the largest"
            sys.stdout.write(f"{condition}: half of the recognized clips fall to {half} budget\n")
        sys.stdout.write(f"written: {folder / 'strength.png'}, .pdf, .json and .csv\n")


ANALYSIS = Surface()
