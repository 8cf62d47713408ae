"""An evaluation of a subset of a split: the same clips for every run, shown with every row."""

import csv
from pathlib import Path

import pytest
from avrobust.report.collect import collect

from avrobust.data.clips import Clips
from avrobust.data.layout import Entry, Format
from avrobust.errors import UserError
from avrobust.experiments.runs import run_for
from avrobust.report.row import title
from avrobust.tasks import attack as attack_task
from avrobust.tasks.attack import Attacker
from tests.support import attack, experiment_for


def test_few_clips_are_drawn_by_their_names_and_stay_in_order() -> None:
    entries = [Entry("bell", f"{i}", 1) for i in range(40)]
    form = Format(audio_samples=8, image_size=8, frames=1, stride=1)
    clips = Clips(Path(), entries, ["bell"], form, training=False)
    few = [entry.key for entry in clips.subset(10).entries]
    assert len(few) == 10
    assert few == [entry.key for entry in entries if entry.key in few]
    assert few != [entry.key for entry in entries[:10]]
    shuffled = Clips(Path(), entries[::-1], ["bell"], form, training=False)
    assert {entry.key for entry in shuffled.subset(10).entries} == set(few)
    assert set(few) <= {entry.key for entry in clips.subset(11).entries}
    assert clips.subset(100).entries == entries


def test_a_row_of_few_clips_says_so(prepared: Path, tmp_path: Path) -> None:
    _, *overrides = attack(prepared, tmp_path, "attack=fgsm", "training.epochs=1", "clips=3")
    row = attack_task.main(experiment_for("attack", *overrides))
    assert row["n"] == 3
    assert title(row).endswith("3 of test split")
    (runs,) = collect(tmp_path).to_dict("records")
    assert (runs["split"], runs["n"]) == ("3 of test", 3)
    (path,) = tmp_path.glob("attack/*/examples.csv")
    with path.open(newline="") as file:
        assert len({line["key"] for line in csv.DictReader(file)}) == 3
    config = experiment_for("attack", *overrides)
    assert run_for("attack", config, "d") != run_for("attack", {**config, "clips": None}, "d")
    assert (
        run_for("train", config, "d").run_id
        == run_for("train", {**config, "clips": None}, "d").run_id
    )


def test_no_clip_at_all_is_refused() -> None:
    with pytest.raises(UserError, match="clips=0: at least 1"):
        Attacker(experiment_for("attack", "clips=0"))
