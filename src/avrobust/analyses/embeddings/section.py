"""The embeddings of runs in charts: a defended model beside the undefended one."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from avrobust.analyses.base import (
    Analyzed,
    NamedChart,
    Render,
    Section,
    first_seeds_first,
    within,
)
from avrobust.analyses.embeddings.outcome import (
    STAGES,
    Cloud,
    CosineCurve,
    EmbeddingsOutcome,
    EmbeddingSpace,
    Stage,
)
from avrobust.charts.axes import Axis, Tick
from avrobust.charts.figure import Chart
from avrobust.charts.lines import LinePanel, LinePoint, LineSeries, line_chart
from avrobust.charts.scatter import ScatterPanel, scatter_chart
from avrobust.charts.style import NEUTRAL, Look, series_look
from avrobust.types import MODALITIES, Modality
from avrobust.utils.format import MODALITY_WORDS, deviation_text, thousandths

MOST = 12  # comparisons: each picture is large, and more are no longer compared
UNDEFENDED_NAME = "undefended"
FOLDER = Path(__file__).parent

AnalyzedEmbeddings = Analyzed[EmbeddingsOutcome]
Points = Sequence[tuple[float, float]]


class ComparedModel(NamedTuple):
    """One model of a picture."""

    name: str  # "undefended", or the defense
    analyzed: AnalyzedEmbeddings

    @property
    def stage(self) -> Stage:
        """The last stage that the model has: what its fusion gets."""
        outcome = self.analyzed.outcome
        return "restored" if outcome.spaces_at("restored") else "encoded"

    def name_at(self, stage: Stage) -> str:
        """The name of the model's embeddings at one stage."""
        return f"{self.name}, restored" if stage == "restored" else self.name


class ModelComparison(NamedTuple):
    """The models of one picture: an undefended model, a defended one, or both in this order."""

    models: list[ComparedModel]

    @property
    def main(self) -> AnalyzedEmbeddings:
        """The run that the picture is about."""
        return self.models[-1].analyzed

    @property
    def chart_title(self) -> str:
        """What was attacked and how, and the number of clips."""
        return f"{self.main.title}, n = {self.main.outcome.n}"


def charts(analyzed: Sequence[AnalyzedEmbeddings]) -> list[NamedChart]:
    """Of each comparison the t-SNE and the cosines."""
    named = []
    for comparison in comparisons(analyzed)[:MOST]:
        run_id = comparison.main.run_id
        named.append(NamedChart("tsne", tsne_chart(comparison), run_id))
        if _cosines(comparison):
            named.append(NamedChart("cosine", cosine_chart(comparison), run_id))
    return named


def section(analyzed: Sequence[AnalyzedEmbeddings], render: Render, most: int) -> Section | None:
    """The section of the page."""
    compared = comparisons(analyzed)
    articles = within((_article(one, render) for one in compared[:MOST]), most)
    if not articles:
        return None
    html = render(FOLDER / "section.html", articles=articles, total=len(compared))
    return Section("embeddings", "Embeddings", html)


def comparisons(analyzed: Sequence[AnalyzedEmbeddings]) -> list[ModelComparison]:
    """Each defended run beside the undefended one that it was compared with, if both are there."""
    by_id = {one.run_id: one for one in analyzed}
    undefended = {one.run_id: _undefended_id(one) for one in analyzed}
    compared = []
    for one in first_seeds_first(analyzed):
        if one.run_id in undefended.values():
            continue
        models = [ComparedModel(_model_name(one), one)]
        other = by_id.get(undefended[one.run_id])
        if other:
            models.insert(0, ComparedModel(UNDEFENDED_NAME, other))
        compared.append(ModelComparison(models))
    return compared


def _undefended_id(one: AnalyzedEmbeddings) -> str:
    return one.result.comparison.run_id if one.result.comparison else ""


def _model_name(one: AnalyzedEmbeddings) -> str:
    model = one.result.experiment.model
    return model.defense.name if model.defended else UNDEFENDED_NAME


def _article(comparison: ModelComparison, render: Render) -> Markup:
    reasons = []
    for model in comparison.models:
        if reason := model.analyzed.outcome.no_cosine:
            reasons.append(f"{model.name_at(model.stage)}: {reason}")
    return render(
        FOLDER / "article.html",
        title=comparison.main.title,
        n=comparison.main.outcome.n,
        models=[(model.name_at(model.stage), model.analyzed.run_id) for model in comparison.models],
        clouds=tsne_chart(comparison).html(),
        cosines=cosine_chart(comparison).html() if _cosines(comparison) else "",
        reasons=reasons,
    )


def tsne_chart(comparison: ModelComparison) -> Chart:
    """A row for each modality; of each model the clips clean and attacked, colored by class."""
    panels = []
    for modality in MODALITIES:
        for model in comparison.models:
            outcome = model.analyzed.outcome
            space = outcome.spaces_at(model.stage).get(modality)
            panels += _model_panels(model, modality, space)
    classes = comparison.main.outcome.classes
    return scatter_chart(comparison.chart_title, classes, panels, 2 * len(comparison.models))


def _model_panels(
    model: ComparedModel, modality: Modality, space: EmbeddingSpace | None
) -> list[ScatterPanel]:
    """Two panels with common axes: clean, and with the most modalities attacked."""
    name, words = model.name_at(model.stage), MODALITY_WORDS[modality].capitalize()
    if space is None or not space.clouds[0].points:
        return [ScatterPanel(f"{name}\n{words}", (), ())] * 2
    clean = space.clouds[0]
    attacked = max(space.clouds, key=lambda cloud: len(cloud.attacked))
    scale = _Scale(space.clouds)
    panels = []
    for cloud in (clean, attacked):
        title = f"{name}\n{words}, {cloud.words}\n{_compactness_text(cloud)}"
        labels = model.analyzed.outcome.labels
        panels.append(ScatterPanel(title, scale.unit_square(cloud.points), labels))
    return panels


class _Scale:
    """Moves clouds that share their axes into the unit square."""

    def __init__(self, clouds: Sequence[Cloud]) -> None:
        across = [x for cloud in clouds for x, _ in cloud.points]
        up = [y for cloud in clouds for _, y in cloud.points]
        self.extent = max(max(across) - min(across), max(up) - min(up)) or 1.0
        self.center = ((min(across) + max(across)) / 2, (min(up) + max(up)) / 2)

    def unit_square(self, points: Points) -> list[tuple[float, float]]:
        """The points in [0, 1], in the middle of the square."""
        x0, y0 = self.center
        return [(0.5 + (x - x0) / self.extent, 0.5 + (y - y0) / self.extent) for x, y in points]


def _compactness_text(cloud: Cloud) -> str:
    measures = cloud.compactness
    if measures is None:
        return ""
    return f"ratio {measures.intra_over_inter:.2f}, silhouette {measures.silhouette:.2f}"


def cosine_chart(comparison: ModelComparison) -> Chart:
    """The audio-visual cosine over eps: a panel for each condition, a curve for each stage."""
    curves_by_condition: dict[str, list[LineSeries]] = {}
    names: list[str] = []
    all_eps: set[float] = set()
    for model, curve in _cosines(comparison):
        name = model.name_at(curve.stage)
        if name not in names:
            names.append(name)
        points = []
        for point in curve.points:
            all_eps.add(point.eps)
            text = f"eps {point.eps:g}: {deviation_text(point.mean, point.deviation)}"
            low, high = point.mean - point.deviation, point.mean + point.deviation
            link = f"#run-{model.analyzed.run_id}"
            points.append(LinePoint(1000 * point.eps, point.mean, low, high, text, link))
        series = LineSeries(name, points, _look(names, name))
        curves_by_condition.setdefault(curve.words, []).append(series)
    panels = [LinePanel(words, series) for words, series in curves_by_condition.items()]
    ticks = [Tick(1000 * eps, thousandths(eps)) for eps in sorted(all_eps)]
    y = Axis("cosine of audio and video")
    return line_chart(comparison.chart_title, panels, Axis("eps × 1000", ticks), y)


def _look(names: Sequence[str], name: str) -> Look:
    """The look of a curve; the undefended model is what the others are compared with."""
    if name == UNDEFENDED_NAME:
        return NEUTRAL
    others = [other for other in names if other != UNDEFENDED_NAME]
    return series_look(others.index(name))


def _cosines(comparison: ModelComparison) -> list[tuple[ComparedModel, CosineCurve]]:
    """The curves of all models, in the order of the legend."""
    pairs = []
    for model in comparison.models:
        for stage in STAGES:
            for curve in model.analyzed.outcome.cosines:
                if curve.stage == stage:
                    pairs.append((model, curve))
    return pairs
