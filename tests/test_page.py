"""Findings and the page, from result files, without any run. In a browser: test_browser.py."""

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from avrobust.experiments.identity import run_id
from avrobust.report.command import command
from avrobust.report.curves import strength_figures
from avrobust.report.figures import write_figures
from avrobust.report.findings import Finding, findings
from avrobust.report.load import load
from avrobust.report.page import write_page
from avrobust.report.scores import Scores
from avrobust.report.tables import overview, tables
from tests.results import (
    WEAK,
    N,
    comparison_with,
    evaluation_result,
    put,
    put_clips,
    write,
    write_records,
)
from tests.support import experiment_for


def found(runs: Path, number: int) -> Finding:
    return findings(load(runs), Scores())[number - 1]


def verdict(runs: Path, number: int) -> str:
    (trial,) = found(runs, number).trials
    return trial.verdict


def unimodal(runs: Path, audio: int, visual: int) -> None:
    heard, seen = range(audio), range(visual)
    put_clips(runs, (heard, range(5), heard, range(5)), "attack=fgsm", "fusion=audio_only")
    put_clips(runs, (seen, seen, range(5), range(5)), "attack=fgsm", "fusion=visual_only")


def test_a_finding_holds_if_every_comparison_does(tmp_path: Path) -> None:
    put_clips(tmp_path, (range(90), range(50), range(40), range(10)), "attack=fgsm")
    unimodal(tmp_path, 60, 70)
    assert verdict(tmp_path, 1) == "holds"
    assert verdict(tmp_path, 2) == "holds"
    assert verdict(tmp_path, 3) == "holds"
    assert verdict(tmp_path, 7) == "holds"


def test_a_difference_that_chance_explains_is_within_noise(tmp_path: Path) -> None:
    put_clips(tmp_path, (range(63), range(50), range(40), range(10)), "attack=fgsm")
    unimodal(tmp_path, 60, 40)
    (trial,) = found(tmp_path, 1).trials
    audio, visual = trial.comparisons
    assert (audio.gained, audio.lost, audio.p) == (3, 0, 0.25)
    assert (audio.verdict, visual.verdict, trial.verdict) == (
        "within noise",
        "holds",
        "within noise",
    )
    assert trial.deciding == audio


def test_the_contrary_does_not_hold(tmp_path: Path) -> None:
    put_clips(tmp_path, (range(30), range(20), range(10), range(5)), "attack=fgsm")
    unimodal(tmp_path, 60, 70)
    assert verdict(tmp_path, 1) == "does not hold"


def test_what_is_missing_is_named_with_its_names(tmp_path: Path) -> None:
    put_clips(tmp_path, (range(90), range(50), range(40), range(10)), "attack=fgsm")
    (trial,) = found(tmp_path, 1).trials
    assert trial.verdict == "not enough data"
    assert trial.missing[0] == "attack=fgsm fusion=audio_only defense=none"


def test_the_unbounded_and_the_untrusted_prove_nothing(tmp_path: Path) -> None:
    put_clips(tmp_path, (range(90), range(50), range(40), range(10)), "attack=fgsm")
    put_clips(tmp_path, (range(90), range(50), range(40), range(10)), "attack=pgd", verdict=WEAK)
    put_clips(tmp_path, (range(90), range(50), range(40), range(10)), "attack=mim", bounded=False)
    (trial,) = found(tmp_path, 4).trials
    assert trial.verdict == "not enough data"
    assert len(trial.missing) == 2


def test_an_attack_that_fools_more_on_the_same_models_needs_no_p(tmp_path: Path) -> None:
    for attack, left in (("fgsm", 50), ("pgd", 49), ("mim", 52)):
        put_clips(tmp_path, (range(90), range(left), range(left), range(left)), f"attack={attack}")
    (trial,) = found(tmp_path, 4).trials
    stronger, weaker = trial.comparisons
    assert [(one.p, one.verdict) for one in (stronger, weaker)] == [
        (None, "holds"),
        (None, "does not hold"),
    ]
    assert (weaker.gained, weaker.lost) == (0, 3)
    assert weaker.low < weaker.difference < weaker.high
    assert (trial.verdict, trial.deciding) == ("does not hold", weaker)


def test_two_models_are_compared_by_their_mean_difference_over_clips(tmp_path: Path) -> None:
    put_clips(tmp_path, (range(90), range(50), range(40), range(10)), "attack=fgsm")
    unimodal(tmp_path, 60, 70)
    (trial,) = found(tmp_path, 1).trials
    for comparison in trial.comparisons:
        assert comparison.p == pytest.approx(2 / 2**comparison.gained)


def test_equal_counts_as_no_more(tmp_path: Path) -> None:
    for attack, left in (("fgsm", 50), ("pgd", 20), ("mim", 20)):
        put_clips(tmp_path, (range(90), range(left), range(left), range(left)), f"attack={attack}")
    assert verdict(tmp_path, 4) == "holds"


def test_ri_is_judged_by_clips(tmp_path: Path) -> None:
    # Two undefended models; the one that the defense was compared with, trained for longer, has
    # fewer runs.
    put_clips(tmp_path, (range(60), range(5), range(5), range(5)), "attack=fgsm", model="short")
    put_clips(tmp_path, (range(60), range(5), range(5), range(5)), "attack=pgd", model="short")
    longer = ("attack=fgsm", "training.epochs=24")
    right = (range(60), range(30), range(30), range(20))
    against = put_clips(tmp_path, right, *longer, model="long")
    experiment = experiment_for("defend", f"runs='{tmp_path}'", "attack=fgsm", "defense=minsim")
    defended = evaluation_result(experiment, (60, 50, 50, 40))
    defended = write(tmp_path, replace(defended, comparison=comparison_with(defended, against)))
    write_records(
        tmp_path, defended, [set(range(60)), set(range(50)), set(range(50)), set(range(40))]
    )
    (trial,) = found(tmp_path, 6).trials
    (minsim,) = trial.comparisons
    assert (minsim.gained, minsim.lost, minsim.verdict) == (30, 0, "holds")
    assert trial.missing == ["attack=fgsm fusion=concat defense=minsim_exfmem"]


def test_a_finding_on_a_defense_takes_the_adaptive_runs_alone(tmp_path: Path) -> None:
    clips = (range(60), range(30), range(30), range(20))
    for seed in range(8):  # of seeds 6 and 7 the plain run comes first by its id
        options = ("attack=fgsm", f"seed={seed}")
        against = put_clips(tmp_path, clips, *options)
        put_clips(tmp_path, clips, *options, "defense=minsim")
        experiment = experiment_for("defend", f"runs='{tmp_path}'", *options, "defense=minsim")
        defended = evaluation_result(experiment, (60, 50, 50, 40))
        defended = replace(defended, comparison=comparison_with(defended, against))
        defended = write(tmp_path, defended)
        adaptive = [set(range(60)), set(range(50)), set(range(50)), set(range(40))]
        write_records(tmp_path, defended, adaptive)
    (trial,) = found(tmp_path, 6).trials
    (minsim,) = trial.comparisons
    assert (minsim.seeds, minsim.gained, minsim.lost) == (8, 30, 0)


def test_seeds_are_put_together_clip_by_clip(tmp_path: Path) -> None:
    for seed in (0, 1):
        put_clips(
            tmp_path, (range(90), range(50), range(40), range(10)), "attack=fgsm", f"seed={seed}"
        )
        put_clips(
            tmp_path,
            (range(60), range(5), range(60), range(5)),
            "attack=fgsm",
            "fusion=audio_only",
            f"seed={seed}",
        )
    (trial,) = found(tmp_path, 1).trials
    (audio,) = trial.comparisons
    assert (audio.seeds, audio.n, audio.gained) == (2, N, 30)


def test_attacks_on_two_models_of_one_name_are_not_compared(tmp_path: Path) -> None:
    for epochs, left in ((3, {"fgsm": 50, "pgd": 20, "mim": 10}), (4, {"fgsm": 5})):
        for attack, right in left.items():
            clips = (range(90), range(right), range(right), range(right))
            put_clips(
                tmp_path,
                clips,
                f"attack={attack}",
                f"training.epochs={epochs}",
                model=f"trained for {epochs}",
            )
    (trial,) = found(tmp_path, 4).trials
    assert trial.verdict == "holds"
    assert trial.comparisons[0].gained == 30


def page(path: Path) -> str:
    runs = load(path)
    write_page(path / "index.html", runs, [*tables(runs, Scores()), overview(runs, Scores())])
    return (path / "index.html").read_text(encoding="utf-8")


def test_the_page_has_our_numbers_beside_the_papers_and_a_link_to_each_run(tmp_path: Path) -> None:
    music = ("dataset=music", "visual.weights=null", "attack=fgsm", "threat=table1")
    result = put_clips(tmp_path, (range(92), range(52), range(26), range(10)), *music)
    text = page(tmp_path)
    assert f'<a href="#run-{result.run_id}">88.46</a>' in text
    assert f'id="run-{result.run_id}"' in text
    assert "-5.76" in text
    assert "python attack.py dataset=music" in text


@pytest.mark.parametrize(("override", "bounded"), [("split=val", True), ("split=test", False)])
def test_a_page_without_anything_to_judge_findings_by(
    tmp_path: Path, override: str, bounded: bool
) -> None:
    put(tmp_path, (52, 26, 26, 0), override, bounded=bounded)
    assert "No finished attack" in page(tmp_path)


def test_marks_are_on_the_page(tmp_path: Path) -> None:
    right = (range(90), range(50), range(40), range(10))
    put_clips(tmp_path, right, "attack=mim", bounded=False)
    put_clips(
        tmp_path,
        right,
        "attack=pgd",
        verdict=WEAK,
    )
    text = page(tmp_path)
    for mark in ("not ε-bounded", "NOT trusted", "more steps find more"):
        assert mark in text


def test_names_from_disk_are_text(tmp_path: Path) -> None:
    root = tmp_path / "<script>alert(1)<"
    put_clips(
        tmp_path,
        (range(90), range(50), range(40), range(10)),
        "dataset=folder",
        f"dataset.root='{root}'",
    )
    text = page(tmp_path)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;" in text


def test_the_page_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    put_clips(tmp_path, (range(90), range(50), range(40), range(10)))
    text = page(tmp_path)
    assert "http://" not in text
    assert "https://" not in text
    assert "default-src 'none'" in text


def test_curves_start_at_the_clean_accuracy(tmp_path: Path) -> None:
    for eps, left in ((0.006, 40), (0.012, 20)):
        put(tmp_path, (60, left, 30, 10), "attack=fgsm", f"eps={eps}")
    (figure,) = strength_figures(load(tmp_path).entries)
    audio, *_ = figure.panels
    assert [round(p.mean, 2) for p in audio.curves[0].points] == [57.69, 38.46, 19.23]
    assert [p.eps for p in audio.curves[0].points] == [0, 0.006, 0.012]
    text = page(tmp_path)
    assert 'id="curves"' in text
    assert "concat, eps 0.006: 38.46" in text


@pytest.mark.parametrize(
    "overrides",
    [
        ("attack=pgd", "attack.steps=20", "seed=3", "eps=0.01"),
        ("dataset=synthetic_tiny", "fusion=film", "split=val", "training.epochs=3"),
        ("dataset=folder", "dataset.root='my clips'", "threat=pixel", "eps=8/255", "tags=[a]"),
        ("fusion@source.fusion=sum", "defense@source.defense=minsim", "source.seed=2"),
        ("experiment=paper_size", "defense=exfmem", "defense.size=100"),
    ],
)
def test_the_command_makes_the_same_run(overrides: tuple[str, ...]) -> None:
    experiment = experiment_for("attack", *overrides)
    result = evaluation_result(experiment, (1, 1, 1, 1))
    script, *given = shlex.split(command(result))[1:]
    assert script == "attack.py"
    assert run_id(experiment_for("attack", *given), "x") == run_id(experiment, "x")


def test_the_command_of_an_undefended_run_that_defend_made_knows_no_defense() -> None:
    overrides = ("defense.steps=1", "adaptive=paper", "audio.widths=[8,8,8,8]")
    experiment = experiment_for("attack", "audio.widths=[8,8,8,8]")
    execution = replace(experiment.execution, overrides=("defense=adversarial", *overrides))
    result = evaluation_result(replace(experiment, execution=execution), (1, 1, 1, 1))
    line = command(result)
    assert "audio.widths=[8,8,8,8]" in line
    assert "defense" not in line
    assert "adaptive" not in line


def test_the_figures_are_what_the_runs_are_enough_for(tmp_path: Path) -> None:
    for eps, left in ((0.006, 40), (0.012, 20)):
        put(tmp_path, (60, left, 30, 10), "attack=fgsm", f"eps={eps}")
    write_figures(load(tmp_path).entries, tmp_path / "figures")
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "fig3-synthetic-fgsm-paper.pdf",
        "fig3-synthetic-fgsm-paper.png",
    }


def test_a_figure_of_fusions_needs_two_and_a_plain_file_name(tmp_path: Path) -> None:
    root = ("dataset=folder", "dataset.root='a/my <clips>'", "attack=fgsm")
    put(tmp_path, (60, 40, 30, 10), *root)
    write_figures(load(tmp_path).entries, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()
    put(tmp_path, (60, 40, 30, 10), *root, "fusion=sum")
    write_figures(load(tmp_path).entries, tmp_path / "figures")
    (pdf,) = (tmp_path / "figures").glob("*.pdf")
    assert pdf.name == "fusions-my__clips_-paper.pdf"


def test_the_program_starts_without_what_draws(tmp_path: Path) -> None:
    check = (
        "import sys; import avrobust.cli.main; "
        "print([m for m in ('matplotlib', 'jinja2', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
