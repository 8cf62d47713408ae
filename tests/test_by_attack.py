"""The table of robust accuracy by attack, from result files alone."""

from pathlib import Path

import pandas as pd
import pytest
from avrobust.report.cells import Table
from avrobust.report.collect import collect

from avrobust.report.by_attack import by_attack
from avrobust.report.scores import Scores
from avrobust.report.write import latex, markdown
from tests.test_page import Right, run
from tests.test_tables import N


def made(
    runs: Path, attack: str, right: Right, *overrides: str, gradients: float = 1.0, **more: object
) -> Path:
    cost = {
        c: {"gradients": gradients, "queries": 2.0, "shared": 0.0}
        for c in ("audio", "visual", "audiovisual")
    }
    return run(runs, right, f"attack={attack}", *overrides, cost=cost, seconds=52.0, **more)


def table(runs: Path) -> Table:
    found = by_attack(collect(runs), Scores(runs))
    assert found is not None
    return found


def line(found: Table, under: str, **wanted: str) -> dict[str, str]:
    shown = found.shown[found.shown["under"] == under]
    for column, value in wanted.items():
        shown = shown[shown[column] == value]
    (only,) = shown.to_dict("records")
    return {str(k): str(v) for k, v in only.items()}


@pytest.fixture(scope="module")
def fooled(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """FGSM and PGD leave far more of the defended model than av_auto does; of the undefended one none is ahead."""
    runs = tmp_path_factory.mktemp("fooled")
    for defense in ("defense=none", "defense=pcl"):
        left = 20 if defense.endswith("none") else 60
        made(runs, "fgsm", (range(90), range(25), range(25), range(left)), defense)
        made(runs, "pgd", (range(90), range(24), range(24), range(left)), defense, gradients=10.0)
        reasons = ["audiovisual: Square fooled 40 of 104"] if left == 60 else []
        verdict = {"trusted": not reasons, "reasons": reasons, "checks": {}}
        made(
            runs,
            "av_auto",
            (range(90), range(23), range(24), range(10, 30)),
            defense,
            verdict=verdict,
        )
    return table(runs)


def test_who_was_fooled_by_whom_is_marked(fooled: Table) -> None:
    masked, honest = (line(fooled, "xAV", defense=defense) for defense in ("pcl", "none"))
    assert masked["pgd"].startswith("57.69† (")
    assert "†" not in masked["av_auto"]
    assert "†" not in "".join(honest.values())
    assert "†" not in "".join(line(fooled, "xA", defense="pcl").values())
    assert (masked["verdict"], honest["verdict"]) == ("NOT trusted", "trusted")
    assert line(fooled, "xA", defense="pcl")["verdict"] == "trusted"
    assert "† more clips stand than under the strongest attack" in markdown(fooled)
    assert "$\\dagger$" in latex(fooled)


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
    assert tidy[tidy["weaker"]][["defense", "attack", "condition"]].values.tolist() == [
        ["pcl", "fgsm", "audiovisual"],
        ["pcl", "pgd", "audiovisual"],
    ]


def test_seeds_and_results_without_costs(tmp_path: Path) -> None:
    for seed, left in enumerate((20, 30)):
        run(
            tmp_path,
            (range(90), range(left), range(left), range(left)),
            "attack=apgd_ce",
            f"seed={seed}",
        )
        run(tmp_path, (range(90), range(50), range(50), range(50)), "attack=fgsm", f"seed={seed}")
    run(tmp_path, (range(90), range(5), range(5), range(5)), "attack=fgsm", "seed=2")
    found = table(tmp_path)
    assert ", seeds 2" in found.title
    mine = line(found, "xV")
    assert mine["apgd_ce"].startswith("24.04 ± 6.80 (")
    assert mine["worst of all"].startswith("24.04 ± 6.80 (")
    assert mine["fgsm"].startswith("48.08† ± 0.00 (")
    assert line(found, "gradients a clip")["fgsm"] == ""
    assert mine["verdict"] == ""


def test_models_trained_otherwise_and_other_threats_have_lines_of_their_own(tmp_path: Path) -> None:
    right = (range(90), range(20), range(20), range(20))
    for overrides in (["training.epochs=24"], ["clips=24"], []):
        made(tmp_path, "fgsm", right, *overrides)
        made(tmp_path, "square", right, *overrides)
    made(tmp_path, "fgsm", right, "defense=minsim")  # no strong attack on it: left out
    shown = table(tmp_path).shown
    assert len(shown) == 3 * 6
    assert set(shown["split"]) == {"test", "24 of test"}
    assert set(shown["defense"]) == {"none"}
    assert "dataset synthetic, threat paper, eps 0.006, fusion concat" in table(tmp_path).title


def test_an_attack_with_settings_of_its_own_says_so(tmp_path: Path) -> None:
    folder = made(
        tmp_path, "square", (range(90), range(20), range(20), range(20)), "attack.queries=500"
    )
    text = (folder / "result.json").read_text()
    (folder / "result.json").write_text(
        text.replace(
            '"config": {', '"config": {"overrides": ["attack=square", "attack.queries=500"],', 1
        )
    )
    assert "square (queries=500)" in table(tmp_path).shown


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_without_a_strong_attack_there_is_no_table(tmp_path: Path, attack: str) -> None:
    made(tmp_path, attack, (range(90), range(20), range(20), range(20)))
    assert by_attack(collect(tmp_path), Scores(tmp_path)) is None
