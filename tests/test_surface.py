"""What the report makes of a surface.json: sentences, charts, a place on the page."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from avrobust.analyses.base import Analyzed
from avrobust.analyses.outcomes import read_outcome, write_outcome
from avrobust.analyses.surface.analysis import ANALYSIS
from avrobust.analyses.surface.outcome import BudgetCurve, Interaction, SurfaceOutcome
from avrobust.analyses.surface.section import sentences, surface_chart
from avrobust.evaluation.metrics import Share
from avrobust.report.figures import write_figures
from avrobust.report.load import load
from tests.results import put
from tests.test_page import page

LEVELS = 5


def outcome(*, gain: float = 20.0) -> SurfaceOutcome:
    """Accuracy falls by 5 points a level of audio, 10 a level of video, and by a gain of both."""

    def table(value: Callable[[int, int], float]) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(float(value(i, j)) for j in range(LEVELS)) for i in range(LEVELS))

    def gained(i: int, j: int) -> float:
        return gain * i * j / (LEVELS - 1) ** 2

    shares = tuple(i / (LEVELS - 1) for i in range(LEVELS))
    accuracy = tuple(Share(90 - 10 * i, 40, 95, 104) for i in range(LEVELS))
    conditions = (("audio", "xA"), ("visual", "xV"), ("audiovisual", "xAV"))
    return SurfaceOutcome(
        n=104,
        largest={"audio": 0.02, "visual": 0.04},
        shares=shares,
        curves=tuple(BudgetCurve(name, title, accuracy, 0.5) for name, title in conditions),
        grid=shares,
        interaction=Interaction(
            accuracy=table(lambda i, j: 90 - 5 * i - 10 * j - gained(i, j)),
            gain=table(gained),
            neither=table(gained),
            saved_by_visual=table(lambda i, j: 10 * j),
            saved_by_audio=table(lambda i, j: 5 * i),
            unsaved=table(lambda i, j: 0),
        ),
    )


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    result = put(tmp_path, (90, 50, 40, 10), "attack=fgsm")
    write_outcome(ANALYSIS, tmp_path / "attack" / result.run_id, outcome())
    return tmp_path


def test_the_interaction_in_sentences() -> None:
    fall, gain, saved = sentences(outcome())
    assert "eps 0.02 on audio and 0.04 on video" in fall
    assert "from 90.0 % to 70.0 % by audio alone, 50.0 % by video alone and 10.0 % by both" in fall
    assert gain.endswith("gains at most 20.0 points, at 0.02 and 0.04.")
    assert "40.0 % fall to both at the largest budgets but not with the video intact" in saved
    assert "20.0 % not with the audio" in saved
    assert sentences(outcome(gain=0))[1].endswith("gains nothing anywhere.")


def test_the_chart_has_audio_to_the_right_and_video_up(runs: Path) -> None:
    (entry,) = load(runs).entries
    analyzed = Analyzed(entry.result, entry.title, entry.folder, outcome())
    svg = surface_chart(analyzed).html()
    assert svg.count(": ") >= 2 * LEVELS**2
    assert "<title>audio 20, video 0: 70.0</title>" in svg
    assert "<title>audio 0, video 40: 50.0</title>" in svg


def test_it_is_on_the_page_and_on_paper(runs: Path) -> None:
    (entry,) = load(runs).entries
    text = page(runs)
    assert 'href="#surface"' in text
    assert "gains at most 20.0 points" in text
    write_figures(load(runs).entries, runs / "figures")
    names = {path.name for path in (runs / "figures").iterdir()}
    assert {f"surface-{entry.run_id}.pdf", f"surface-curves-{entry.run_id}.png"} <= names


def test_a_damaged_file_is_listed_and_the_page_is_whole(runs: Path) -> None:
    (entry,) = load(runs).entries
    (entry.folder / "surface.json").write_text('{"schema": 0}')
    text = page(runs)
    assert 'href="#surface"' not in text
    assert "surface.json" in text
    assert "run avrobust surface again" in text


def test_what_is_not_finite_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_outcome(ANALYSIS, tmp_path, replace(outcome(), shares=(float("nan"),)))
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_an_analysis_of_another_result_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}")
    write_outcome(ANALYSIS, tmp_path, outcome())
    assert read_outcome(ANALYSIS, tmp_path) == outcome()
    (tmp_path / "result.json").write_text('{"computed": "again"}')
    with pytest.raises(ValueError, match="of another result than the run has now"):
        read_outcome(ANALYSIS, tmp_path)
