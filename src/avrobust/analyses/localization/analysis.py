"""The command `avrobust localize RUN`: where the model takes the sound to come from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from avrobust.analyses.base import Analysis, Analyzed, NamedChart, Render, Section, Subject
from avrobust.analyses.localization.outcome import LocalizeOutcome
from avrobust.errors import UserError
from avrobust.ranges import NonNegativeInt, PositiveInt
from avrobust.utils.arguments import checks_arguments

if TYPE_CHECKING:
    from avrobust.experiments.results import EvaluationResult


@final
@checks_arguments
@dataclass(frozen=True)
class LocalizeSettings:
    """Which attacks are followed, and what is kept to look at."""

    levels: PositiveInt = field(default=4, metadata={"help": "steps of eps"})
    conditions: tuple[str, ...] = field(
        default=(),
        metadata={"help": "attacked conditions of the run, such as audio,visual; all if not given"},
    )
    examples: NonNegativeInt = field(default=6, metadata={"help": "clips that are kept to look at"})
    mosaic: bool = field(
        default=False, metadata={"help": "show each picture among three of other classes"}
    )


@final
class Localize(Analysis[LocalizeSettings, LocalizeOutcome]):
    """Where the model's attention takes the sound to come from, clean and attacked."""

    name = "localize"
    help = "Show where a run's model takes the sound to come from, clean and attacked."
    settings = LocalizeSettings
    outcome = LocalizeOutcome

    def validate(self, result: "EvaluationResult", settings: LocalizeSettings) -> None:
        from avrobust.experiments.targets import built_class
        from avrobust.models.fusion.base import MapFusion

        attacked = [condition.name for condition in result.attacked]
        for name in settings.conditions:
            if name not in attacked:
                raise UserError(
                    f"--conditions {name}: no attack of the run; choices: {', '.join(attacked)}"
                )
        fusion = built_class("fusion", result.experiment.model.used_fusion)
        if not issubclass(fusion, MapFusion):
            raise UserError(
                f"{result.run_id}: its fusion, {fusion.__name__}, has no response map, as it looks "
                "at no places of a picture; attack a model with fusion=attention"
            )

    def compute(self, subject: Subject, settings: LocalizeSettings) -> LocalizeOutcome:
        from avrobust.analyses.localization.measure import analyze

        return analyze(subject, settings)

    def summary(self, analyzed: Analyzed[LocalizeOutcome]) -> list[str]:
        from avrobust.analyses.localization.table import text_table

        outcome = analyzed.outcome
        boxes = "no boxes, so that no place is right or wrong"
        if outcome.boxes:
            boxes = f"{outcome.boxes} with boxes"
        height, width = outcome.map_size
        sizes = f"n = {outcome.n}, {boxes}; maps of {height} x {width}"
        return [text_table(outcome), "", sizes]

    def charts(self, analyzed: Sequence[Analyzed[LocalizeOutcome]]) -> list[NamedChart]:
        from avrobust.analyses.localization.section import charts

        return charts(analyzed)

    def section(
        self, analyzed: Sequence[Analyzed[LocalizeOutcome]], render: Render, most: int
    ) -> Section | None:
        from avrobust.analyses.localization.section import section

        return section(analyzed, render, most)


ANALYSIS = Localize()
