"""An analysis that a package of one's own brings: its command, file, chart and section."""

import json
from pathlib import Path

import pytest

from avrobust.analyses.discover import VARIABLE, discover
from avrobust.cli.main import main
from avrobust.report.figures import write_figures
from avrobust.report.load import load
from avrobust.tasks import attack as attack_task
from tests.support import attack, experiment_for
from tests.test_page import page

ANALYSIS = '''
"""How loud the clips of a run are."""

from dataclasses import dataclass, field
from pathlib import Path

from avrobust.analyses.base import Analysis, NamedChart, Section
from avrobust.charts.axes import Axis
from avrobust.charts.bars import Bar, BarSeries, bar_chart
from avrobust.charts.style import series_look
from avrobust.errors import UserError


@dataclass(frozen=True)
class LoudnessSettings:
    most: int = field(default=5, metadata={"help": "most batches"})

    def __post_init__(self):
        if self.most < 1:
            raise ValueError(f"most must be at least 1, not {self.most}")


@dataclass(frozen=True)
class LoudnessOutcome:
    rms: dict[str, float]  # by key


class Loudness(Analysis):
    name = "loudness"
    help = "Measure how loud the clips of a run are."
    settings = LoudnessSettings
    outcome = LoudnessOutcome

    def validate(self, result, settings):
        if result.n > 1000:
            raise UserError("too many clips")

    def compute(self, subject, settings):
        rms = {}
        for number, batch in enumerate(subject.batches):
            if number < settings.most:
                loudness = batch.clip.audio.square().mean((1, 2)).sqrt().tolist()
                rms.update(zip(batch.key, loudness))
        return LoudnessOutcome(rms)

    def summary(self, analyzed):
        return [f"{len(analyzed.outcome.rms)} clips are measured"]

    def charts(self, analyzed):
        named = []
        for one in analyzed:
            bars = [Bar(value, value, value) for value in one.outcome.rms.values()]
            series = [BarSeries("RMS", bars, series_look(0))]
            chart = bar_chart(one.title, list(one.outcome.rms), series, Axis("RMS"))
            named.append(NamedChart("loudness", chart, one.run_id))
        return named

    def section(self, analyzed, render, most):
        charts = [chart.chart.html() for chart in self.charts(analyzed)]
        html = render(Path(__file__).with_name("loudness.html"), charts=charts, analyzed=analyzed)
        return Section("loudness", "Loudness", html)


ANALYSIS = Loudness()
'''
TEMPLATE = """<section id="loudness"><h2>How loud the clips are</h2>
{% for one in analyzed %}<p>{{ one.title }}: {{ one.outcome.rms | length }} clips</p>{% endfor %}
{% for chart in charts %}{{ chart }}{% endfor %}
</section>
"""


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with the analysis on the import path, named in the environment."""
    folder = tmp_path / "packages" / "my_analyses"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "loudness.py").write_text(ANALYSIS)
    (folder / "loudness.html").write_text(TEMPLATE)
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setenv(VARIABLE, "my_analyses.loudness")


@pytest.mark.usefixtures("own_package")
def test_a_new_analysis_has_a_command_a_file_figures_and_a_section(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    _, *overrides = attack(prepared, runs, "attack=fgsm", "training.epochs=1")
    result = attack_task.main(experiment_for("attack", *overrides))
    folder = runs / "attack" / result.run_id
    assert main(["--help"]) == 0
    assert "Measure how loud the clips" in capsys.readouterr().out
    assert main(["loudness", str(folder), "--most", "0"]) == 2
    assert "--most must be at least 1" in capsys.readouterr().err
    assert main(["loudness", str(folder), "--most", "2"]) == 0
    assert f"{result.n} clips are measured" in capsys.readouterr().out
    content = json.loads((folder / "loudness.json").read_text())
    assert len(content["rms"]) == result.n
    assert (folder / "loudness.png").is_file()
    text = page(runs)
    assert '<a href="#loudness">Loudness</a>' in text
    assert f": {result.n} clips</p>" in text
    write_figures(load(runs).entries, runs / "figures")
    assert (runs / "figures" / f"loudness-{result.run_id}.pdf").is_file()


def test_without_the_package_its_files_are_no_business_of_ours() -> None:
    assert "loudness" not in discover()


@pytest.mark.parametrize(
    ("module", "expected"),
    [("no_such_package", "cannot be imported"), ("json", "has no ANALYSIS")],
)
def test_a_module_without_an_analysis_is_one_line(
    module: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(VARIABLE, module)
    assert main(["status"]) == 2
    error = capsys.readouterr().err
    assert f"{VARIABLE}={module}: {expected}" in error
    assert error.count("\n") == 1
