"""The command `avrobust embeddings RUN...`: the embeddings of clips, clean and attacked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from avrobust.analyses.base import Analysis, Analyzed, NamedChart, Render, Section, Subject
from avrobust.analyses.embeddings.outcome import EmbeddingsOutcome
from avrobust.errors import UserError
from avrobust.ranges import NonNegativeFloat, PositiveInt
from avrobust.utils.arguments import checks_arguments

if TYPE_CHECKING:
    from avrobust.experiments.results import EvaluationResult


@final
@checks_arguments
@dataclass(frozen=True)
class EmbeddingsSettings:
    """Which budgets are compared and how many clips are drawn."""

    eps: tuple[NonNegativeFloat, ...] = field(
        default=(),
        metadata={
            "help": "budgets of the cosine beside 0 and the run's own, separated by commas; "
            "1/4, 1/2, 1, 3/2 and 2 times the run's if not given"
        },
    )
    clips: PositiveInt = field(default=400, metadata={"help": "most clips in a t-SNE"})


@final
class Embeddings(Analysis[EmbeddingsSettings, EmbeddingsOutcome]):
    """The embeddings of clips, clean and attacked: t-SNE, compactness, cosine."""

    name = "embeddings"
    help = "Compare embeddings of clips, clean and attacked: t-SNE, compactness, cosine."
    settings = EmbeddingsSettings
    outcome = EmbeddingsOutcome
    several = True

    def validate(self, result: "EvaluationResult", settings: EmbeddingsSettings) -> None:
        if result.settings.eps <= 0:
            raise UserError(f"{result.run_id}: its eps is 0, so nothing was attacked")

    def compute(self, subject: Subject, settings: EmbeddingsSettings) -> EmbeddingsOutcome:
        from avrobust.analyses.embeddings.measure import analyze

        return analyze(subject, settings.eps, settings.clips)

    def summary(self, analyzed: Analyzed[EmbeddingsOutcome]) -> list[str]:
        lines = []
        for space in analyzed.outcome.spaces:
            ratios = []
            for cloud in space.clouds:
                if cloud.compactness:
                    ratios.append(f"{cloud.condition} {cloud.compactness.intra_over_inter:.3f}")
            name = f"{space.stage} {space.modality}"
            lines.append(f"{name}, distance within over between classes: {', '.join(ratios)}")
        if reason := analyzed.outcome.no_cosine:
            lines.append(reason)
        return lines

    def charts(self, analyzed: Sequence[Analyzed[EmbeddingsOutcome]]) -> list[NamedChart]:
        from avrobust.analyses.embeddings.section import charts

        return charts(analyzed)

    def section(
        self, analyzed: Sequence[Analyzed[EmbeddingsOutcome]], render: Render, most: int
    ) -> Section | None:
        from avrobust.analyses.embeddings.section import section

        return section(analyzed, render, most)


ANALYSIS = Embeddings()
