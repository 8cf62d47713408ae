"""Where models take the sound to come from, in charts, heat maps and numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup
from PIL import Image

from avrobust.analyses.base import (
    Analyzed,
    NamedChart,
    Render,
    Section,
    first_seeds_first,
    within,
)
from avrobust.analyses.localization.outcome import (
    BASELINE_WORDS,
    LocalizeOutcome,
    PlaceScores,
    ResponseScores,
    ShownClip,
    ShownPrediction,
)
from avrobust.analyses.localization.pictures import read_heat_maps
from avrobust.analyses.localization.table import HEADINGS, table_rows
from avrobust.charts.axes import Axis, Tick
from avrobust.charts.figure import Chart
from avrobust.charts.lines import LinePanel, LinePoint, LineSeries, Reference, line_chart
from avrobust.charts.pictures import Picture, picture_chart
from avrobust.charts.style import series_look
from avrobust.evaluation.metrics import Share
from avrobust.utils.data_uri import image_uri
from avrobust.utils.format import interval_text, thousandths

FOLDER = Path(__file__).parent

Localized = Analyzed[LocalizeOutcome]


class Measure(NamedTuple):
    """A number that is drawn over eps."""

    title: str
    of_places: str = ""  # the field of `PlaceScores`, if it needs boxes
    of_responses: str = ""  # the field of `ResponseScores`, if it needs none

    def value(self, scores: ResponseScores) -> Share:
        """The number of some responses."""
        source = scores.places if self.of_places else scores
        share = getattr(source, self.of_places or self.of_responses)
        assert isinstance(share, Share)
        return share

    def guessed(self, places: PlaceScores) -> Share | None:
        """The number of a guess, if the guess has one."""
        share = getattr(places, self.of_places) if self.of_places else None
        return share if isinstance(share, Share) else None


WITH_BOXES = (
    Measure("peak in the box, %", of_places="pointing"),
    Measure("cIoU ≥ 0.5, %", of_places="ciou"),
)
WITHOUT_BOXES = (
    Measure("peak moved, %", of_responses="moved"),
    Measure("recognized, %", of_responses="recognized"),
)


class HeatMapImage(NamedTuple):
    """A kept clip under one condition."""

    image: Image.Image
    prediction: ShownPrediction


class ClipHeatMaps(NamedTuple):
    """A kept clip, clean and attacked."""

    clip: ShownClip
    images: list[HeatMapImage]


def charts(analyzed: Sequence[Localized]) -> list[NamedChart]:
    """Of each run the numbers over eps and the heat maps."""
    named = []
    for one in first_seeds_first(analyzed):
        named.append(NamedChart("localize-eps", eps_chart(one), one.run_id))
        if clips := heat_maps(one):
            named.append(NamedChart("localize-maps", maps_chart(one, clips), one.run_id))
    return named


def section(analyzed: Sequence[Localized], render: Render, most: int) -> Section | None:
    """The section of the page."""
    articles = within((_article(one, render) for one in first_seeds_first(analyzed)), most)
    if not articles:
        return None
    html = render(FOLDER / "section.html", articles=articles, total=len(analyzed))
    return Section("sources", "Sources", html)


def _article(one: Localized, render: Render) -> Markup:
    clips = []
    for clip in heat_maps(one):
        uris = [image_uri(image.image, "JPEG") for image in clip.images]
        clips.append((clip.clip, list(zip(uris, clip.clip.predictions, strict=True))))
    return render(
        FOLDER / "article.html",
        run_id=one.run_id,
        title=one.title,
        outcome=one.outcome,
        chart=eps_chart(one).html(),
        clips=clips,
        headings=HEADINGS,
        rows=table_rows(one.outcome),
    )


def heat_maps(one: Localized) -> list[ClipHeatMaps]:
    """The kept clips of a run with their heat maps; none if there are no heat maps."""
    clips = []
    # The clips are in the order of the file, which may be missing.
    for clip, images in zip(one.outcome.shown, read_heat_maps(one.folder), strict=False):
        drawn = []
        for image, prediction in zip(images, clip.predictions, strict=True):
            drawn.append(HeatMapImage(image, prediction))
        clips.append(ClipHeatMaps(clip, drawn))
    return clips


def eps_chart(one: Localized) -> Chart:
    """The numbers over eps: where there are boxes those of the places."""
    outcome = one.outcome
    panels = []
    for measure in WITH_BOXES if outcome.boxes else WITHOUT_BOXES:
        series = []
        for number, attacked in enumerate(outcome.attacked):
            points = [_point(one, 0.0, measure.value(outcome.clean))]
            for eps, scores in zip(outcome.eps_levels, attacked.scores, strict=True):
                points.append(_point(one, eps, measure.value(scores)))
            series.append(LineSeries(attacked.words, points, series_look(number)))
        panels.append(LinePanel(measure.title, series, _references(outcome, measure)))
    ticks = [Tick(1000 * eps, thousandths(eps)) for eps in (0.0, *outcome.eps_levels)]
    title = f"{one.title}, n = {outcome.boxes or outcome.n}"
    return line_chart(title, panels, Axis("eps × 1000", ticks), Axis("", low=0, high=100))


def _point(one: Localized, eps: float, share: Share) -> LinePoint:
    text = interval_text(share.percent, share.low, share.high, digits=1)
    return LinePoint(
        x=1000 * eps,
        y=share.percent,
        low=share.low,
        high=share.high,
        text=f"eps {eps:.4g}: {text}",
        link=f"#run-{one.run_id}",
    )


def _references(outcome: LocalizeOutcome, measure: Measure) -> list[Reference]:
    references = []
    for baseline in outcome.baselines:
        share = measure.guessed(baseline.places)
        if share:
            name = f"guess: {BASELINE_WORDS[baseline.name]}"
            references.append(Reference(name, share.percent))
    return references


def maps_chart(one: Localized, clips: Sequence[ClipHeatMaps]) -> Chart:
    """The heat maps: a row for each clip, a column for each condition."""
    pictures = []
    for clip in clips:
        for number, drawn in enumerate(clip.images):
            true = "" if number else f"is {clip.clip.label}"
            prediction = drawn.prediction
            said = f"{prediction.words}: {prediction.label} {100 * prediction.confidence:.0f} %"
            pictures.append(Picture(f"{true}\n{said}", drawn.image))
    return picture_chart(one.title, pictures, len(clips[0].images))
