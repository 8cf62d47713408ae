"""An attack within another attack's budgets: who may do both may do the one alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.mim_released import MIMReleased
from avrobust.evaluation.conditions import Attacked, Clean, Condition
from avrobust.evaluation.nested import nested, nested_conditions, threat_within
from avrobust.evaluation.summaries import robust_accuracy
from avrobust.experiments.results import EvaluationResult
from avrobust.report.lines import NESTED_NOTE
from avrobust.report.load import load
from avrobust.report.notes import notes
from avrobust.report.scores import AVERAGE, Scores, Side
from avrobust.report.tables import overview
from avrobust.report.write import markdown
from avrobust.tasks.records import condition_results, records_as_csv
from avrobust.threats import Threat, audio_budget, snr_budget, suite, visual_budget
from avrobust.types import Record
from tests.results import evaluation_result, write
from tests.support import experiment_for

BOTH = {"audiovisual": ("audio", "visual")}
# Clips 0 to 3 under each condition. Clip 1 falls to the sound's attack alone: the joint attack's
# step is spent on the picture.
LEFT = {
    "clean": (True, True, True, True),
    "audio": (True, False, True, False),
    "visual": (True, True, True, True),
    "audiovisual": (True, True, False, False),
}


@pytest.mark.parametrize("factor", [0.5, 1.0])
def test_equal_and_smaller_budgets_lie_within_the_joint_ones(factor: float) -> None:
    assert nested(suite(0.006, single_modality_factor=factor)) == BOTH
    assert nested(suite(0.006, single_modality_factor=factor, snr=30)) == BOTH
    assert nested(suite(0.006, single_modality_factor=factor, norm="l2")) == BOTH


def test_under_twice_the_eps_for_one_modality_nothing_nests() -> None:
    assert nested(suite(0.006, single_modality_factor=2.0)) == {}


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        (Threat(audio_budget(0.01)), Threat(audio_budget(0.1, "l2"))),
        (Threat(snr_budget(40)), Threat(audio_budget(0.1, "l2"))),
        (Threat(None, visual_budget(0.01)), Threat(None, visual_budget(0.1, "pixel"))),
        (Threat(audio_budget(0.01), visual_budget(0.01)), Threat(audio_budget(0.01))),
        (Threat(audio_budget(0.02), visual_budget(0.01)), suite(0.01)["audiovisual"]),
    ],
)
def test_budgets_of_other_norms_units_or_modalities_do_not_nest(
    inner: Threat, outer: Threat
) -> None:
    assert not threat_within(inner, outer)


def conditions(attack: type = FGSM, factor: float = 1.0) -> list[Condition]:
    threats = suite(0.006, single_modality_factor=factor)
    return [Clean(), *(Attacked(name, attack(), threat) for name, threat in threats.items())]


def records() -> list[Record]:
    rows = []
    for condition, clips in LEFT.items():
        for i, correct in enumerate(clips):
            rows.append(Record(f"bell/{i}", condition, 0, 0 if correct else 1, correct, *[0.5] * 4))
    return rows


def result(experiment_overrides: tuple[str, ...] = (), factor: float = 1.0) -> EvaluationResult:
    experiment = experiment_for("attack", "attack=fgsm", *experiment_overrides)
    empty = evaluation_result(experiment, (4, 2, 4, 2), n=4)
    return replace(empty, conditions=condition_results(records(), conditions(factor=factor)))


def test_a_clip_that_one_modality_fools_is_fooled_under_both() -> None:
    *_, joint = result().conditions
    assert (joint.accuracy.percent, joint.own_accuracy.percent) == (25, 50)
    assert (joint.nested, joint.fooled_by_nested) == (("audio", "visual"), 1)
    assert joint.accuracy.percent <= min(result().accuracy.values())


def test_where_budgets_do_not_nest_the_joint_attack_stands_for_itself() -> None:
    *_, joint = result(factor=2.0).conditions
    assert (joint.accuracy.percent, joint.nested, joint.alone) == (50, (), None)


def test_an_attack_that_leaves_its_budget_nests_in_none() -> None:
    assert nested_conditions(conditions(FGSM)) == BOTH
    assert nested_conditions(conditions(MIMReleased)) == {}


def test_accuracies_of_records_follow_the_same_rule() -> None:
    assert robust_accuracy(records(), BOTH)["audiovisual"] == 25
    assert robust_accuracy(records(), {})["audiovisual"] == 50


def test_report_and_result_count_the_same_clips(tmp_path: Path) -> None:
    made = write(tmp_path, result((f"runs='{tmp_path}'",)))
    path = tmp_path / "attack" / made.run_id / "examples.csv"
    path.write_text(records_as_csv(records(), ["bell", "drum"]))
    runs, scores = load(tmp_path), Scores()
    (entry,) = runs.entries
    for condition in made.conditions:
        clips = scores.by_condition(entry)[condition.name]
        assert 100 * sum(clips.values()) / 4 == condition.accuracy.percent
    average = scores.of(entry, AVERAGE)
    assert 100 * sum(average.values()) / 4 == pytest.approx(made.average)
    assert Side("fgsm", (entry,), AVERAGE).mean == made.average
    table = markdown(overview(runs, scores))
    assert "xAV alone 50.00" in table
    assert NESTED_NOTE in table


def test_the_row_says_what_the_joint_attack_alone_leaves() -> None:
    (remark,) = [note for note in notes(result()) if note.startswith("xAV counts")]
    assert "xA or xV" in remark
    assert "1 more; alone it leaves 50.00" in remark
    assert not any("alone" in note for note in notes(result(factor=2.0)))
