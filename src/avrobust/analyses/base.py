"""What an analysis of a finished run is: a computation, a command and a section of the page."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, final

from markupsafe import Markup

from avrobust.charts.figure import Chart

if TYPE_CHECKING:  # the page and --help import this without torch
    import torch

    from avrobust.attacks.base import Attack
    from avrobust.attacks.gradients import Objective
    from avrobust.data.batches import SplitBatches
    from avrobust.data.prepared import Prepared
    from avrobust.evaluation.evaluate import EvaluationCache
    from avrobust.experiments.results import EvaluationResult
    from avrobust.models.classifier import AVClassifier
    from avrobust.threats import Threat

SettingsT = TypeVar("SettingsT")
OutcomeT = TypeVar("OutcomeT")


class PaperAttack(NamedTuple):
    """The attack of a run on the one objective of its defense that the paper maximizes."""

    attack: "Attack"
    name: str  # of the objective
    objective: "Objective"


@final
@dataclass(frozen=True)
class Subject:
    """A finished run with what an analysis needs to attack its model again.

    Args:
        folder: of the run.
        result: of the run.
        model: ready to be attacked, on `device`.
        batches: the clips that the run attacked; they can be gone through several times.
        data: the data set.
        attack: as the run attacked: of a defended model the attack that knows the defense.
        suite: the threats by the name of their condition.
        objectives: what the attack maximizes, by name; of several the worst outcome counts.
        paper_attack: as the paper would attack the model; of an undefended one as the run attacked.
        device: where the model is.
        cache: for `evaluate`; None where the split is too large to be kept.
    """

    folder: Path
    result: "EvaluationResult"
    model: "AVClassifier"
    batches: "SplitBatches"
    data: "Prepared"
    attack: "Attack"
    suite: "dict[str, Threat]"
    objectives: "dict[str, Objective]"
    paper_attack: "PaperAttack"
    device: "torch.device"
    cache: "EvaluationCache | None"

    @property
    def seed(self) -> int:
        """Of the attack's random draws."""
        return self.result.experiment.model.seed

    @property
    def eps(self) -> float:
        """The budget, in the units of the threat."""
        return self.result.settings.eps


class Analyzed(NamedTuple, Generic[OutcomeT]):
    """What an analysis found about one finished run."""

    result: "EvaluationResult"
    title: str  # of the run: what was attacked and how
    folder: Path
    outcome: OutcomeT

    @property
    def run_id(self) -> str:
        """Of the run; `#run-<run id>` is its anchor on the page."""
        return self.result.run_id

    @property
    def seed(self) -> int:
        """Of the run."""
        return self.result.experiment.model.seed


class NamedChart(NamedTuple):
    """A chart with the name of its files."""

    name: str  # in the run's folder
    chart: Chart
    run_id: str = ""  # of the run that the chart is about, if it is about one

    @property
    def report_name(self) -> str:
        """The name of its files among those of all runs."""
        return f"{self.name}-{self.run_id}" if self.run_id else self.name


class Section(NamedTuple):
    """A section of the page."""

    id: str  # the page's anchor
    title: str  # in the page's navigation
    html: Markup


class Render(Protocol):
    """Fills a template of the page; what comes from disk is escaped."""

    def __call__(self, template: Path, /, **content: object) -> Markup: ...


class Analysis(ABC, Generic[SettingsT, OutcomeT]):
    """Computes something more of a finished run: `avrobust <name> RUN`.

    An analysis is a folder of `avrobust.analyses` whose module `analysis` has an object `ANALYSIS`;
    `discover` says how another package brings its own. That module imports nothing heavy: its
    methods import what they need.

    Attributes:
        name: the command, and the name of its file: <name>.json in the run's folder.
        help: what the command does, in one line.
        settings: a frozen dataclass whose fields are the command's options. Each has a type, a
            default and `field(metadata={"help": ...})`. Its constructor raises ValueError for an
            invalid value, in a message that begins with the name of the field; the decorator
            `utils.arguments.checks_arguments` does so for values outside of the types' ranges.
        outcome: a frozen dataclass, what the file holds.
        several: whether the command takes several runs.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    settings: ClassVar[type[Any]]
    outcome: ClassVar[type[Any]]
    several: ClassVar[bool] = False

    @abstractmethod
    def validate(self, result: "EvaluationResult", settings: SettingsT) -> None:
        """Refuses a run that the analysis does not fit, before any work.

        Raises:
            UserError: with the reason.
        """

    @abstractmethod
    def compute(self, subject: Subject, settings: SettingsT) -> OutcomeT:
        """Does the work; files beside <name>.json are written into the subject's folder.

        Raises:
            UserError: the model or the data do not fit.
        """

    @abstractmethod
    def summary(self, analyzed: Analyzed[OutcomeT]) -> list[str]:
        """The lines that the command prints."""

    @abstractmethod
    def charts(self, analyzed: Sequence[Analyzed[OutcomeT]]) -> list[NamedChart]:
        """The charts of these runs that are written as files; no two of a run have one name."""

    @abstractmethod
    def section(
        self, analyzed: Sequence[Analyzed[OutcomeT]], render: Render, most: int
    ) -> Section | None:
        """The section of the page; None without anything to show.

        Args:
            analyzed: the runs that were analyzed.
            render: fills the analysis's template.
            most: about how many bytes the section may have.
        """


def first_seeds_first(analyzed: Sequence[Analyzed[OutcomeT]]) -> list[Analyzed[OutcomeT]]:
    """The runs in the order of sections: by seed, then by title."""
    return sorted(analyzed, key=lambda one: (one.seed, one.title, one.run_id))


def within(articles: Iterable[Markup], most: int) -> list[Markup]:
    """The first articles of a section, as many as fit into this many bytes."""
    kept = []
    for article in articles:
        most -= len(article.encode())
        if most < 0:
            break
        kept.append(article)
    return kept
