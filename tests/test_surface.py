"""What the report makes of a strength.json: words, contours, a figure, a place on the page."""

import json
from pathlib import Path
from typing import Any

import pytest
from avrobust.report.charts import cells, contours
from avrobust.report.collect import collect

from avrobust.analyses.strength.section import surfaces, words
from avrobust.report.figures import write_figures
from tests.test_page import page
from tests.test_page import run as put

LEVELS = 5


def content(*, gain: float = 20.0) -> dict[str, Any]:
    """Strengths of a model whose accuracy falls by 5 points a level of audio and 10 a level of video, and by a gain."""

    def table(value: Any) -> list[list[float]]:
        return [[float(value(i, j)) for j in range(LEVELS)] for i in range(LEVELS)]

    def gained(i: int, j: int) -> float:
        return gain * i * j / (LEVELS - 1) ** 2

    shares = [i / (LEVELS - 1) for i in range(LEVELS)]
    curve = {"accuracy": [90, 80, 70, 60, 50], "interval": [[40, 95]] * LEVELS, "median": 0.5}
    return {
        "run_id": "x",
        "n": 104,
        "largest": {"audio": 0.02, "visual": 0.04},
        "shares": shares,
        "curves": dict.fromkeys(("audio", "visual", "audiovisual"), curve),
        "grid": shares,
        "surface": {
            "accuracy": table(lambda i, j: 90 - 5 * i - 10 * j - gained(i, j)),
            "gain": table(gained),
            "neither": table(gained),
            "saved_by_visual": table(lambda i, j: 10 * j),
            "saved_by_audio": table(lambda i, j: 5 * i),
            "unsaved": table(lambda i, j: 0),
        },
    }


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = put(tmp_path, (range(90), range(50), range(40), range(10)), "attack=fgsm")
    (folder / "strength.json").write_text(json.dumps(content()))
    return tmp_path


def test_the_interaction_in_words() -> None:
    fall, gain, saved = words(content())
    assert "eps 0.02 on audio and 0.04 on video" in fall
    assert "from 90.0 % to 70.0 % by audio alone, 50.0 % by video alone and 10.0 % by both" in fall
    assert gain.endswith("gains at most 20.0 points, at 0.02 and 0.04.")
    assert (
        "40.0 % fall to both at the largest budgets but not with the video intact, 20.0 % not with the audio"
        in saved
    )
    assert words(content(gain=0))[1].endswith("gains nothing anywhere.")


def test_cells_and_contours_have_audio_to_the_right_and_video_up() -> None:
    corner = next(
        cell
        for cell in cells(content(), "accuracy")
        if (cell.x, cell.y) == (LEVELS - 1, LEVELS - 1)
    )
    assert corner.text == "audio 0.02, video 0: 70.0"
    assert corner.share == 0.7
    (line,) = [line for line in contours(content(gain=0), "accuracy") if line.level == 75]
    points = [tuple(map(float, point.split(","))) for point in line.points.split()]
    assert (3.5, 4.5) in points  # three levels of audio and none of video
    assert (0.5, 3.0) in points  # none of audio, and half way between one and two of video


def test_it_is_on_the_page_and_on_paper(runs: Path) -> None:
    (one,) = surfaces(collect(runs), runs).shown
    text = page(runs)
    assert text.count('<rect class="cell') == 2 * LEVELS**2
    assert '<polyline class="contour"' in text
    assert "gains at most 20.0 points" in text
    write_figures(collect(runs), runs, runs / "figures")
    assert {path.name for path in (runs / "figures").iterdir()} == {
        f"strength-{one.run}.{x}" for x in ("pdf", "png")
    }
