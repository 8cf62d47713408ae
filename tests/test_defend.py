"""defend.py as a user types it, on a tiny data set."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import binomtest

from avrobust.errors import UserError
from avrobust.experiments.results import EvaluationResult
from avrobust.report.load import load
from avrobust.report.scores import Scores
from avrobust.report.tables import tables
from avrobust.tasks import defend as defend_task
from avrobust.types import Record
from tests.results import (
    NAMES,
    N,
    evaluation_result,
    evaluations,
    put_clips,
    trainings,
    write,
    write_records,
)
from tests.support import attack, experiment_for, run_script

DECLARED = ("apgd_plus_cosine", "apgd_minus_cosine")  # by MinSim, besides cross-entropy


def defend(prepared: Path, runs: Path, *more: str) -> tuple[str, ...]:
    script, *rest = attack(prepared, runs, "attack=fgsm", "eps=0.006", *more)
    assert script == "attack.py"
    return ("defend.py", *rest)


@pytest.fixture(scope="module")
def defended(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of MinSim under its worst adaptive attack, and of the undefended model beside it."""
    runs = tmp_path_factory.mktemp("defended")
    done = run_script(*defend(prepared, runs, "defense=minsim", "threat.visual=20"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "RI " in done.stdout
    assert "paired p" in done.stdout
    return runs


def result(runs: Path, task: str = "defend") -> EvaluationResult:
    (only,) = evaluations(runs, task)
    return only


def test_both_models_are_trained_and_the_undefended_one_attacked(defended: Path) -> None:
    defenses = {training.experiment.model.defense.name for training in trainings(defended)}
    assert defenses == {"none", "minsim"}
    assert not result(defended, "attack").experiment.model.defended


def test_ri_is_against_the_undefended_row(defended: Path) -> None:
    ours, theirs = result(defended), result(defended, "attack")
    assert ours.comparison is not None
    assert ours.comparison.run_id == theirs.run_id
    clean = ours.clean.accuracy.percent - theirs.clean.accuracy.percent
    assert ours.comparison.ri == pytest.approx(clean + ours.average - theirs.average)


def test_the_headline_is_the_worst_of_all_objectives(defended: Path) -> None:
    found = result(defended)
    assert found.comparison is not None
    objectives = found.comparison.objectives
    assert list(objectives) == ["cross_entropy", "plus_cosine", "minus_cosine"]
    for condition, accuracy in found.accuracy.items():
        assert accuracy <= min(row[condition] for row in objectives.values())


def test_the_row_can_be_recomputed_from_the_examples(defended: Path) -> None:
    found = result(defended)
    (path,) = defended.glob("defend/*/examples.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    left: dict[str, set[str]] = {}
    for row in rows:
        clips = left.setdefault(row["condition"], set())
        if row["correct"] == "True":
            clips.add(row["key"])
    for condition in found.conditions:
        own = 100 * len(left[condition.name]) / found.n
        assert condition.own_accuracy.percent == pytest.approx(own)
    *_, joint = found.conditions
    worst = left["audio"] & left["visual"] & left["audiovisual"]  # equal budgets
    assert joint.accuracy.percent == pytest.approx(100 * len(worst) / found.n)
    assert joint.nested == ("audio", "visual")


def test_the_papers_attack_is_one_objective_and_trains_nothing_again(
    defended: Path, prepared: Path
) -> None:
    before = {p: p.stat().st_mtime_ns for p in defended.glob("train/*/result.json")}
    done = run_script(
        *defend(prepared, defended, "defense=minsim", "threat.visual=20", "adaptive=paper")
    )
    assert done.returncode == 0, done.stderr
    assert "attacked on (paper): Avg plus_cosine" in done.stdout
    assert {p: p.stat().st_mtime_ns for p in defended.glob("train/*/result.json")} == before
    (paper,) = (
        p.parent
        for p in defended.glob("defend/*/result.json")
        if '"adaptive": "paper"' in p.read_text()
    )
    for path in paper.iterdir():  # the other tests look at one run
        path.unlink()
    paper.rmdir()


def test_an_ensemble_is_told_all_objectives_and_runs_once(
    defended: Path, prepared: Path, tmp_path: Path
) -> None:
    shutil.copytree(defended / "train", tmp_path / "train")
    small = (
        "attack=av_auto",
        "attack.steps=3",
        "attack.targets=1",
        "attack.queries=2",
        "threat.visual=20",
    )
    _, *overrides = defend(prepared, tmp_path, "defense=minsim", *small)
    found = defend_task.main(experiment_for("defend", *overrides))
    assert found.comparison is not None
    assert found.comparison.objectives == {"together": found.accuracy}
    for condition in found.attacked:
        members = {"clean", "apgd_ce", "apgd_t", *DECLARED, "fab_t", "square"}
        assert set(condition.success_by_attack) <= members
        assert condition.cost is not None
        # Auto-PGD: a start and 3 steps each. FAB-T: 3 steps.
        assert condition.cost.gradients <= (1 + 1 + len(DECLARED)) * (3 + 1) + 3
    # Clips made on the undefended model are a part of every verdict on a defended one.
    assert found.verdict is not None
    for condition in found.attacked:
        text = found.verdict.checks[condition.name]["transfer"]
        assert text.startswith("clips made on another model leave ")


def test_row_and_table_have_the_same_p_values_and_interval(tmp_path: Path) -> None:
    plain = (range(90), range(4, 20), range(20), range(10))
    defended = (range(90), range(8, 32), range(20), range(5, 25))
    against = put_clips(tmp_path, plain, "attack=fgsm", "threat=paper")
    records = []
    for condition, clips in zip(NAMES, defended, strict=True):
        for i in range(N):
            right = i in clips
            records.append(Record(f"bell/{i}", condition, 0, 1 - right, right, *[0.5] * 4))
    counts = [len(clips) for clips in defended]
    overrides = (f"runs='{tmp_path}'", "attack=fgsm", "threat=paper", "defense=minsim")
    row = evaluation_result(experiment_for("defend", *overrides), counts)
    comparison = defend_task.compare_with_undefended(
        row, records, against, {"cross_entropy": records}, tmp_path
    )
    assert comparison.p["audio"] == pytest.approx(binomtest(12, 16).pvalue)
    assert (comparison.only_defended["audio"], comparison.only_undefended["audio"]) == (12, 4)
    assert comparison.objectives == {"cross_entropy": row.accuracy}

    row = write(tmp_path, replace(row, comparison=comparison))
    write_records(tmp_path, row, [set(clips) for clips in defended])
    (table,) = (one for one in tables(load(tmp_path), Scores()) if one.name == "table3")
    (cells, *_) = (one.cells for one in table.lines if one.cells["defense"].main == "minsim")
    assert cells["p RI"].main == f"{comparison.ri_p:.2g}"
    for title, condition in (("p xA", "audio"), ("p xV", "visual"), ("p xAV", "audiovisual")):
        assert cells[title].main == f"{comparison.p[condition]:.2g}"
    low, high = comparison.ri_interval
    assert low < comparison.ri < high
    assert cells["RI"].plain == f"{comparison.ri:+.2f} ({low:+.0f} to {high:+.0f})"


def test_table_3_puts_it_beside_the_undefended_model(defended: Path) -> None:
    (table,) = (one for one in tables(load(defended), Scores()) if one.name == "table3")
    lines = {line.cells["defense"].main: line.cells for line in table.lines}
    assert lines["minsim"]["RI"].main.startswith(("+", "-"))
    assert lines["none"]["notes"].main == ""
    assert lines["exfmem"]["notes"].main == "missing"


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        (("defense=minsin",), "defense=minsin: no such option; choices: adversarial"),
        ((), "You must specify 'defense'"),
        (("defense=maxsim", "fusion=visual_only"), "compares the embeddings of both modalities"),
    ],
)
def test_mistakes_end_in_one_line(
    mistake: tuple[str, ...], expected: str, prepared: Path, tmp_path: Path
) -> None:
    done = run_script(*defend(prepared, tmp_path, *mistake))
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("result.json"))


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        (("defense=none",), "defense=none: what it is compared with is python attack.py"),
        (("defense=minsim", "adaptive=all"), "adaptive=all: choices: worst, paper"),
        (
            ("defense=minsim", "defense.goal=mid"),
            "defense.goal=mid: choices: min, max",
        ),
        (
            ("defense=trades", "defense.condition=clean"),
            "defense: condition=clean: choices: audio, visual",
        ),
        (("defense=minsim", "split=dev"), "split=dev: choices: train, val, test"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    mistake: tuple[str, ...], expected: str, prepared: Path, tmp_path: Path
) -> None:
    _, *overrides = defend(prepared, tmp_path, *mistake)
    with pytest.raises(UserError) as caught:
        defend_task.main(experiment_for("defend", *overrides))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("result.json"))
