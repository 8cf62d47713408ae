"""defend.py as a user types it, on a tiny data set."""

import csv
import shutil
from pathlib import Path

import pytest

from avrobust.errors import UserError
from avrobust.experiments.results import EvaluationResult
from avrobust.report.load import load
from avrobust.report.scores import Scores
from avrobust.report.tables import tables
from avrobust.tasks import defend as defend_task
from tests.results import evaluations, trainings
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
    assert "McNemar p" in done.stdout
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
    for condition, accuracy in found.accuracy.items():
        mine = [row["correct"] == "True" for row in rows if row["condition"] == condition]
        assert 100 * sum(mine) / len(mine) == pytest.approx(accuracy)


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
    assert found.verdict is not None


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
            "defense.goal=mid: Input should be 'min' or 'max'",
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
