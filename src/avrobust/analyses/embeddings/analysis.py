"""The command `avrobust embeddings RUN...`."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from avrobust.analyses.base import Analysis


@final
@dataclass(frozen=True)
class Settings:
    """Which budgets are compared and how many clips are drawn."""

    eps: tuple[float, ...] = field(
        default=(),
        metadata={
            "help": "budgets of the cosine beside 0 and the run's own, separated by commas; "
            "1/4, 1/2, 1, 3/2 and 2 times the run's if not given"
        },
    )
    clips: int = field(default=400, metadata={"help": "most clips in a t-SNE"})

    def __post_init__(self) -> None:
        for eps in self.eps:
            if not 0 <= eps < float("inf"):
                raise ValueError(f"eps must be finite numbers of at least 0, not {eps}")
        if self.clips < 1:
            raise ValueError(f"clips must be at least 1, not {self.clips}")


@final
class Embeddings(Analysis):
    """Where models put clips, clean and attacked."""

    name = "embeddings"
    help = "Compare embeddings of clips, clean and attacked: t-SNE, compactness, cosine."
    settings = Settings
    several = True

    def run(self, folder: Path, settings: Settings) -> None:
        from avrobust.analyses.embeddings.command import main

        content = main(folder, eps=settings.eps or None, clips=settings.clips)
        for stage, modalities in content["compactness"].items():
            for modality, values in modalities.items():
                ratios = (f"{c} {v['intra_over_inter']:.3f}" for c, v in values.items() if v)
                sys.stdout.write(
                    f"{stage} {modality}, distance within over between classes: "
                    f"{', '.join(ratios)}\n"
                )
        if reason := content["cosine"].get("left_out"):
            sys.stdout.write(f"{reason}\n")
        sys.stdout.write(f"written: {folder / 'embeddings.json'}; avrobust report draws it\n")


ANALYSIS = Embeddings()
