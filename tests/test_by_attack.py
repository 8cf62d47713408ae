"""The table of robust accuracy by attack, from result files alone."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from avrobust.experiments.results import EvaluationResult, VerdictResult
from avrobust.report.by_attack import by_attack
from avrobust.report.load import load
from avrobust.report.scores import Scores
from avrobust.report.table import Table
from avrobust.report.write import latex, markdown
from tests.results import N, Recognized, put_clips


def made(
    runs: Path,
    attack: str,
    recognized: Recognized,
    *overrides: str,
    gradients: float = 1.0,
    **more: Any,
) -> EvaluationResult:
    return put_clips(runs, recognized, f"attack={attack}", *overrides, gradients=gradients, **more)


def table(runs: Path) -> Table:
    found = by_attack(load(runs).entries, Scores())
    assert found is not None
    return found


def texts(found: Table) -> list[dict[str, str]]:
    every = []
    for line in found.lines:
        every.append({name: cell.plain for name, cell in line.cells.items()})
    return every


def line(found: Table, under: str, **wanted: str) -> dict[str, str]:
    wanted["under"] = under
    (only,) = (
        one for one in texts(found) if all(one[key] == value for key, value in wanted.items())
    )
    return only


@pytest.fixture(scope="module")
def fooled(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """FGSM and PGD leave far more of the defended model than av_auto does.

    Of the undefended model none leaves more.
    """
    runs = tmp_path_factory.mktemp("fooled")
    for defense in ("defense=none", "defense=pcl"):
        left = 20 if defense.endswith("none") else 60
        made(runs, "fgsm", (range(90), range(25), range(25), range(left)), defense)
        made(runs, "pgd", (range(90), range(24), range(24), range(left)), defense, gradients=10.0)
        reasons = ["audiovisual: Square fooled 40 of 104"] if left == 60 else []
        verdict = VerdictResult(not reasons, tuple(reasons), {}, {"visual": "eps is 0"})
        made(
            runs,
            "av_auto",
            (range(90), range(23), range(24), range(10, 30)),
            defense,
            verdict=verdict,
        )
    return table(runs)


def test_who_was_fooled_by_whom_is_counted(fooled: Table) -> None:
    masked, honest = (line(fooled, "xAV", defense=defense) for defense in ("pcl", "none"))
    # Of the 60 clips that PGD leaves, av_auto fools all but 10 to 29.
    assert masked["pgd"].startswith("57.69 (")
    assert masked["pgd"].endswith(" [+40 -0]")
    assert "[" not in masked["av_auto"]
    # Equally strong attacks of which each fools clips that the other one leaves.
    assert [honest[name].partition("[")[2] for name in ("fgsm", "pgd", "av_auto")] == [
        "+10 -10]",
        "+10 -10]",
        "",
    ]
    assert line(fooled, "xA", defense="pcl")["pgd"].endswith(" [+1 -0]")
    assert (masked["verdict"], honest["verdict"]) == ("NOT trusted", "trusted")
    assert line(fooled, "xA", defense="pcl")["verdict"] == "trusted"
    assert line(fooled, "xV", defense="pcl")["verdict"] == "nothing to judge"
    assert "has no p" in markdown(fooled)
    assert "†" not in markdown(fooled) + latex(fooled)


def test_together_the_attacks_leave_what_withstands_each(fooled: Table) -> None:
    worst = line(fooled, "xAV", defense="none")["worst of all"]
    assert worst.startswith(
        f"{100 * 10 / N:.2f} ("
    )  # clips 10 to 19 alone are right under all three


def test_what_an_attack_costs_stands_below(fooled: Table) -> None:
    assert [
        line(fooled, f"{cost} a clip", defense="pcl")["pgd"]
        for cost in ("gradients", "queries", "seconds")
    ] == [
        "10",
        "2",
        "0.5",
    ]
    tidy = pd.DataFrame(fooled.tidy)
    assert len(tidy) == 2 * 3 * 3
    joint = tidy[(tidy["defense"] == "pcl") & (tidy["condition"] == "audiovisual")]
    counts = joint.set_index("attack")["strongest_fools_more"]
    assert (counts["fgsm"], counts["pgd"]) == (40, 40)
    assert pd.isna(counts["av_auto"])


def test_seeds_that_all_attacks_have_are_put_together(tmp_path: Path) -> None:
    for seed, left in enumerate((20, 30)):
        clips = (range(90), range(left), range(left), range(left))
        made(tmp_path, "apgd_ce", clips, f"seed={seed}")
        put_clips(
            tmp_path, (range(90), range(50), range(50), range(50)), "attack=fgsm", f"seed={seed}"
        )
    put_clips(tmp_path, (range(90), range(5), range(5), range(5)), "attack=fgsm", "seed=2")
    found = table(tmp_path)
    assert ", seeds 2" in found.title
    mine = line(found, "xV")
    assert mine["apgd_ce"].startswith("24.04 ± 6.80 (")
    assert mine["worst of all"].startswith("24.04 ± 6.80 (")
    assert mine["fgsm"].startswith("48.08 ± 0.00 (")
    assert mine["fgsm"].endswith(f"[+{50 - 20 + 50 - 30} -0]")  # of both seeds
    assert line(found, "gradients a clip")["fgsm"] == "0"
    assert mine["verdict"] == ""


def test_models_trained_otherwise_and_other_threats_have_lines_of_their_own(tmp_path: Path) -> None:
    right = (range(90), range(20), range(20), range(20))
    for overrides in (["training.epochs=24"], ["clips=24"], []):
        made(tmp_path, "fgsm", right, *overrides)
        made(tmp_path, "square", right, *overrides)
    made(tmp_path, "fgsm", right, "defense=minsim")  # no strong attack on it: left out
    shown = texts(table(tmp_path))
    assert len(shown) == 3 * 6
    assert {one["split"] for one in shown} == {"test", "24 of test"}
    assert {one["defense"] for one in shown} == {"none"}
    assert "dataset synthetic, threat paper, eps 0.006, fusion concat" in table(tmp_path).title


def test_an_attack_with_settings_of_its_own_says_so(tmp_path: Path) -> None:
    recognized = (range(90), range(20), range(20), range(20))
    made(tmp_path, "square", recognized, "attack.queries=500")
    assert "square (queries=500)" in table(tmp_path).columns


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_without_a_strong_attack_there_is_no_table(tmp_path: Path, attack: str) -> None:
    made(tmp_path, attack, (range(90), range(20), range(20), range(20)))
    assert by_attack(load(tmp_path).entries, Scores()) is None
