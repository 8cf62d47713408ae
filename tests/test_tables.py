"""Result files to tables, without running anything."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import binomtest

from avrobust.errors import UserError
from avrobust.experiments.results import SCHEMA
from avrobust.report.load import load
from avrobust.report.scores import Scores
from avrobust.report.table import Table, Text
from avrobust.report.tables import overview, tables
from avrobust.report.write import latex, markdown, write_tables
from tests.results import (
    Recognized,
    comparison_with,
    evaluation_result,
    put,
    put_clips,
    write,
    write_records,
)
from tests.support import experiment_for


def table(runs: Path, name: str) -> Table:
    (only,) = (one for one in tables(load(runs), Scores()) if one.name == name)
    return only


def lines(table: Table, **wanted: str) -> list[dict[str, str]]:
    """The lines of a table as text, every column in each."""
    shown = []
    for line in table.lines:
        cells = {name: line.cells.get(name, Text("")).plain for name in table.columns}
        if all(cells[column] == value for column, value in wanted.items()):
            shown.append(cells)
    return shown


OFFLINE_MUSIC = ("dataset=music", "visual.weights=null")


def test_table_1_stands_beside_the_papers_numbers(tmp_path: Path) -> None:
    put(tmp_path, (92, 52, 26, 10), *OFFLINE_MUSIC, "attack=fgsm", "threat=table1")
    put(
        tmp_path,
        (62, 5, 62, 5),
        *OFFLINE_MUSIC,
        "attack=fgsm",
        "threat=table1",
        "fusion=audio_only",
    )
    ours, paper, difference = lines(table(tmp_path, "table1"), attack="fgsm")
    assert ours["clean"].startswith("88.46 (8")
    assert (ours["only A"], ours["only V"]) == ("59.62", "missing")
    assert paper["xAV"] == "15.38"
    assert (paper["Avg"], paper["only A"], paper["only V"]) == ("30.13", "59.62", "81.73")
    assert (difference["clean"], difference["xAV"]) == ("+0.00", "-5.76")


def test_a_published_number_outside_our_interval_is_starred(tmp_path: Path) -> None:
    put(tmp_path, (92, 10, 26, 16), *OFFLINE_MUSIC, "attack=fgsm", "threat=table1")
    *_, difference = lines(table(tmp_path, "table1"), attack="fgsm")
    assert difference["xA"] == "-40.38*"
    assert not difference["xV"].endswith("*")


def test_what_nobody_has_run_is_marked_as_missing_beside_its_published_row(tmp_path: Path) -> None:
    put(tmp_path, (92, 52, 26, 10), *OFFLINE_MUSIC, "attack=fgsm", "threat=table1")
    ours, paper = lines(table(tmp_path, "table1"), attack="pgd")
    assert (ours["notes"], paper["xA"]) == ("missing", "13.46")


def test_the_unbounded_attack_is_marked(tmp_path: Path) -> None:
    put(
        tmp_path,
        (92, 52, 26, 10),
        *OFFLINE_MUSIC,
        "attack=mim_released",
        "threat=table1",
        bounded=False,
    )
    put(tmp_path, (92, 52, 26, 10), *OFFLINE_MUSIC, "attack=mim", "threat=table1")
    found = table(tmp_path, "table1")
    assert lines(found, attack="mim_released", source="ours")[0]["notes"] == "not ε-bounded"
    assert lines(found, attack="mim", source="ours")[0]["notes"] == ""


def test_seeds_become_mean_and_deviation_and_fewer_are_marked(tmp_path: Path) -> None:
    for seed, clean in enumerate((50, 52, 57)):
        put(
            tmp_path,
            (clean, 30, 20, 10),
            "attack=fgsm",
            "threat=paper",
            "fusion=sum",
            f"seed={seed}",
        )
    put(tmp_path, (60, 30, 20, 10), "attack=fgsm", "threat=paper", "fusion=film")
    found = table(tmp_path, "table2")
    (ours,) = lines(found, fusion="sum")
    assert ours["clean"].startswith("50.96 ± 3.47 (")  # 53 of 104; deviation of 48.08, 50.00, 54.81
    assert (ours["seeds"], ours["notes"]) == ("3", "")
    assert lines(found, fusion="film")[0]["notes"] == "fewer seeds (1 of 3)"


def test_table_2_counts_clean_in(tmp_path: Path) -> None:
    put(tmp_path, (52, 26, 26, 0), "attack=fgsm", "threat=paper")
    (ours,) = lines(table(tmp_path, "table2"), fusion="concat")
    assert ours["Avg"] == "25.00"


def put_defended(runs: Path, defense: str, *overrides: str) -> None:
    """An undefended result, and a defended one that was compared with it."""
    plain = put(runs, (92, 54, 47, 16), *overrides)
    experiment = experiment_for("defend", f"runs='{runs}'", *overrides, f"defense={defense}")
    defended = evaluation_result(experiment, (95, 73, 48, 38))
    write(
        runs,
        evaluation_result(
            experiment, (95, 73, 48, 38), comparison=comparison_with(defended, plain)
        ),
    )


def test_table_3_has_the_published_ri(tmp_path: Path) -> None:
    put_defended(tmp_path, "minsim", *OFFLINE_MUSIC, "attack=fgsm", "threat=paper")
    ours, paper, difference = lines(table(tmp_path, "table3"), defense="minsim")
    assert (ours["RI"], paper["RI"]) == ("+16.35", "+16.35")
    assert difference["clean"] == "+0.00"
    undefended = lines(table(tmp_path, "table3"), defense="none")
    assert [line["source"] for line in undefended] == ["ours", "paper", "difference"]


def test_a_defended_model_attacked_plainly_is_not_in_the_table_of_adaptive_attacks(
    tmp_path: Path,
) -> None:
    options = ("attack=fgsm", "threat=paper")
    put_defended(tmp_path, "minsim", *options)
    put(tmp_path, (95, 90, 90, 90), *options, "defense=minsim")
    (line,) = lines(table(tmp_path, "table3"), defense="minsim", source="ours")
    assert line["xA"].startswith("70.19")


def put_defended_clips(
    runs: Path, plain: Recognized, defended: Recognized, *overrides: str
) -> None:
    """Which clips an undefended model recognizes, and a defended one compared with it."""
    against = put_clips(runs, plain, "attack=fgsm", "threat=paper", *overrides)
    more = ("attack=fgsm", "threat=paper", "defense=minsim", *overrides)
    experiment = experiment_for("defend", f"runs='{runs}'", *more)
    counts = [len(list(clips)) for clips in defended]
    result = evaluation_result(experiment, counts)
    result = write(runs, replace(result, comparison=comparison_with(result, against)))
    write_records(runs, result, [set(clips) for clips in defended])


def test_seeds_with_one_outcome_are_no_more_sure_than_one_seed(tmp_path: Path) -> None:
    # The defended model alone recognizes 12 clips, the undefended one alone 4.
    plain = (range(90), range(4, 20), range(20), range(10))
    defended = (range(90), range(8, 32), range(20), range(10))
    p_values = []
    for seeds in (1, 3):
        runs = tmp_path / str(seeds)
        for seed in range(seeds):
            put_defended_clips(runs, plain, defended, f"seed={seed}")
        (line,) = lines(table(runs, "table3"), defense="minsim", source="ours")
        p_values.append(line["p xA"])
    one = binomtest(12, 16).pvalue
    assert p_values == [f"{one:.2g}"] * 2  # 0.077; of all seeds' clips together it would be 0.0009


def test_the_gain_has_deviation_over_seeds_interval_over_clips_and_p(tmp_path: Path) -> None:
    for seed, more in enumerate((10, 20)):
        plain = (range(90), range(20), range(20), range(20))
        defended = (range(90), *[range(20 + more)] * 3)
        put_defended_clips(tmp_path, plain, defended, f"seed={seed}")
    found = table(tmp_path, "table3")
    (line,) = lines(found, defense="minsim", source="ours")
    # 10 clips gain over both seeds, 10 more over one: 15 of 104.
    assert line["RI"] == "+14.42 ± 6.80 (+9 to +21)"
    assert float(line["p RI"]) == pytest.approx(2 / 2**20, rel=0.05)
    assert "nothing of models trained from other seeds" in " ".join(found.footnotes)


def test_figure_3_has_a_column_for_each_eps(tmp_path: Path) -> None:
    for eps, left in (("0.006", 40), ("0.012", 20)):
        put(tmp_path, (60, left, 30, 10), "attack=fgsm", f"eps={eps}")
    found = table(tmp_path, "fig3")
    (audio,) = lines(found, condition="xA")
    assert (audio["0.006"], audio["0.012"]) == ("38.46", "19.23")
    assert len(found.tidy) == 2 * 4


def test_runs_of_one_name_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    put(tmp_path, (60, 40, 30, 10), "attack=pgd")
    put(tmp_path, (60, 30, 20, 5), "attack=pgd", "attack.steps=100")
    notes = [line["notes"] for line in lines(overview(load(tmp_path), Scores()))]
    assert sorted(notes) == ["attack.steps=10", "attack.steps=100"]


def test_only_the_test_split_is_in_a_table(tmp_path: Path) -> None:
    put(tmp_path, (60, 40, 30, 10), "attack=fgsm", "split=val")
    assert tables(load(tmp_path), Scores()) == []


def test_files_for_people_and_programs(tmp_path: Path) -> None:
    put(tmp_path, (52, 26, 26, 0), "attack=fgsm", "threat=paper")
    runs = load(tmp_path)
    write_tables(tables(runs, Scores()), runs, tmp_path / "report")
    assert {p.name for p in (tmp_path / "report" / "tables").iterdir()} == {
        "table2.md",
        "table2.tex",
        "table2.csv",
    }
    tidy = pd.read_csv(tmp_path / "report" / "tables" / "table2.csv")
    assert list(tidy["mean"]) == [50.0, 25.0, 25.0, 0.0]
    every = pd.read_csv(tmp_path / "report" / "results.csv")
    assert every["clean"].tolist() == [50.0]
    assert every["run_id"][0].startswith("synthetic-concat-fgsm")


def test_names_are_escaped(tmp_path: Path) -> None:
    put(tmp_path, (52, 26, 26, 0), "attack=mim_released", bounded=False)
    found = overview(load(tmp_path), Scores(), "100 % of a|b_c")
    assert "mim\\_released" in latex(found)
    assert "100 \\% of a|b\\_c" in latex(found)
    assert "$\\epsilon$" in latex(found)
    found.lines[0].cells["notes"] = Text("a|b")
    assert "a\\|b" in markdown(found)


def test_a_folder_of_ones_own_goes_by_its_name(tmp_path: Path) -> None:
    put(tmp_path, (52, 26, 26, 0), "dataset=folder", "dataset.root=some/where/my clips")
    (line,) = lines(overview(load(tmp_path), Scores()))
    assert line["dataset"] == "my clips"


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished attack"):
        load(tmp_path)


def test_results_that_cannot_be_read_are_listed_and_skipped(tmp_path: Path) -> None:
    put(tmp_path, (52, 26, 26, 0), "attack=fgsm")
    damaged = put(tmp_path, (52, 26, 26, 0), "attack=pgd")
    older = put(tmp_path, (52, 26, 26, 0), "attack=mim")
    nonsense = put(tmp_path, (52, 26, 26, 0), "attack=apgd_ce")
    folder = tmp_path / "attack"
    path = folder / damaged.run_id / "result.json"
    path.write_text(path.read_text()[:-20])
    path = folder / older.run_id / "result.json"
    path.write_text(path.read_text().replace(f'"schema": {SCHEMA}', '"schema": 0'))
    path = folder / nonsense.run_id / "result.json"
    path.write_text(path.read_text().replace('"seconds": 52.0', '"seconds": "long"'))
    runs = load(tmp_path)
    assert [entry.labels.attack for entry in runs.entries] == ["fgsm"]
    reasons = {file.path.parent.name: file.reason for file in runs.unreadable}
    assert reasons[damaged.run_id].startswith("damaged: ")
    assert f"another version of avrobust (schema 0, not {SCHEMA})" in reasons[older.run_id]
    assert reasons[nonsense.run_id].startswith("damaged: seconds: ")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"percent": 50.0', '"percent": NaN', "damaged: NaN is not a finite number"),
        ('"percent": 50.0', '"percent": 1e999', "damaged: 1e999 is not a finite number"),
        ('"percent": 50.0', '"percent": 9999.0', "damaged: conditions.clean: no accuracy"),
        ('"n": 104', '"n": 0', "damaged: conditions.clean: no accuracy"),
        ('"run_id": "', '"run_id": "other-', "damaged: the result of another run, other-"),
    ],
)
def test_values_that_no_evaluation_gives_are_damage(
    old: str, new: str, reason: str, tmp_path: Path
) -> None:
    put(tmp_path, (52, 26, 26, 0), "attack=fgsm")
    damaged = put(tmp_path, (52, 26, 26, 0), "attack=pgd")
    path = tmp_path / "attack" / damaged.run_id / "result.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    runs = load(tmp_path)
    assert [entry.labels.attack for entry in runs.entries] == ["fgsm"]
    assert [file.reason[: len(reason)] for file in runs.unreadable] == [reason]


def test_a_result_without_conditions_or_attack_is_damaged(tmp_path: Path) -> None:
    put(tmp_path, (52, 26, 26, 0), "attack=fgsm")
    for name, key in (("pgd", "conditions"), ("mim", "experiment")):
        damaged = put(tmp_path, (52, 26, 26, 0), f"attack={name}")
        path = tmp_path / "attack" / damaged.run_id / "result.json"
        content = json.loads(path.read_text())
        if key == "conditions":
            content["conditions"] = []
        else:
            content["experiment"]["attack"] = None
        path.write_text(json.dumps(content))
    reasons = sorted(file.reason for file in load(tmp_path).unreadable)
    assert reasons == [
        "damaged: conditions: not a clean one and attacks",
        "damaged: experiment.attack: missing",
    ]


def test_a_run_whose_records_or_clips_were_cut_off_is_listed(tmp_path: Path) -> None:
    put(tmp_path, (52, 26, 26, 0), "attack=fgsm")
    cut = put_clips(tmp_path, [range(52), range(26), range(26), []], "attack=pgd")
    path = tmp_path / "attack" / cut.run_id / "examples.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:100]))
    other = put(tmp_path, (52, 26, 26, 0), "attack=mim")
    (tmp_path / "attack" / other.run_id / "examples.npz").write_bytes(b"PK")
    runs = load(tmp_path)
    assert [entry.labels.attack for entry in runs.entries] == ["fgsm"]
    reasons = {file.path.name: file.reason for file in runs.unreadable}
    assert reasons == {
        "examples.csv": "damaged: 99 rows, not 416",
        "examples.npz": "damaged: not a whole file",
    }
