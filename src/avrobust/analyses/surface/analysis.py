"""The command `avrobust surface RUN`: the smallest budgets that fool each clip."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from avrobust.analyses.base import Analysis, Analyzed, NamedChart, Render, Section, Subject
from avrobust.analyses.surface.outcome import SurfaceOutcome
from avrobust.errors import UserError
from avrobust.ranges import PositiveInt
from avrobust.utils.arguments import checks_arguments

if TYPE_CHECKING:
    from avrobust.experiments.results import EvaluationResult


@final
@checks_arguments
@dataclass(frozen=True)
class SurfaceSettings:
    """How finely the budgets are searched."""

    levels: PositiveInt = field(default=16, metadata={"help": "steps of a curve"})
    grid: PositiveInt = field(default=8, metadata={"help": "steps of each budget on the surface"})


@final
class Surface(Analysis[SurfaceSettings, SurfaceOutcome]):
    """The smallest budget that fools each clip, on audio, video and both."""

    name = "surface"
    help = "Find the smallest budgets that fool a run's model, on audio, video and both."
    settings = SurfaceSettings
    outcome = SurfaceOutcome

    def validate(self, result: "EvaluationResult", settings: SurfaceSettings) -> None:
        if result.settings.target:
            raise UserError(
                f"{result.run_id}: its attack leads to a certain class; "
                "a smallest budget needs an attack that is content with any error"
            )
        if not result.attack.bounded:
            raise UserError(
                f"{result.run_id}: its attack, {result.attack_name}, keeps to no budget, "
                "so that no budget is the smallest"
            )

    def compute(self, subject: Subject, settings: SurfaceSettings) -> SurfaceOutcome:
        from avrobust.analyses.surface.measure import analyze

        return analyze(subject, settings.levels, settings.grid)

    def summary(self, analyzed: Analyzed[SurfaceOutcome]) -> list[str]:
        lines = []
        for curve in analyzed.outcome.curves:
            half = "more than the largest"
            if curve.median is not None:
                half = f"{curve.median:.3g} of the largest"
            lines.append(f"{curve.name}: half of the recognized clips fall to {half} budget")
        return lines

    def charts(self, analyzed: Sequence[Analyzed[SurfaceOutcome]]) -> list[NamedChart]:
        from avrobust.analyses.surface.section import charts

        return charts(analyzed)

    def section(
        self, analyzed: Sequence[Analyzed[SurfaceOutcome]], render: Render, most: int
    ) -> Section | None:
        from avrobust.analyses.surface.section import section

        return section(analyzed, render, most)


ANALYSIS = Surface()
