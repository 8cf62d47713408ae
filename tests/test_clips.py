"""An evaluation of a subset of a split: the same clips for every run, shown with every row."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from avrobust.data.clips import Clips
from avrobust.data.layout import Entry, Format
from avrobust.errors import UserError
from avrobust.experiments.result_files import folder_of
from avrobust.experiments.runs import run_for, training_run
from avrobust.report.load import load
from avrobust.report.row import title
from avrobust.tasks import attack as attack_task
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
    experiment = experiment_for("attack", *overrides)
    result = attack_task.main(experiment)
    assert result.n == 3
    assert title(result).endswith("3 of test split")
    (entry,) = load(tmp_path).entries
    assert (entry.labels.split, entry.result.n) == ("3 of test", 3)
    path = folder_of(tmp_path, "attack", result.run_id) / "examples.csv"
    with path.open(newline="") as file:
        assert len({line["key"] for line in csv.DictReader(file)}) == 3
    every_clip = replace(experiment, attack=replace(experiment.evaluation, clips=None))
    assert run_for(experiment, "d") != run_for(every_clip, "d")
    model = experiment.model
    assert training_run(experiment, model, "d") == training_run(every_clip, model, "d")


def test_more_clips_than_the_split_has_are_not_claimed(prepared: Path, tmp_path: Path) -> None:
    _, *overrides = attack(prepared, tmp_path, "attack=fgsm", "training.epochs=1", "clips=24")
    result = attack_task.main(experiment_for("attack", *overrides))
    assert result.n == 9
    assert title(result).endswith("all 9 of test split")
    (entry,) = load(tmp_path).entries
    assert entry.labels.split == "all 9 of test"


def test_no_clip_at_all_is_refused() -> None:
    with pytest.raises(UserError, match="clips=0: must be an integer of at least 1 or null"):
        experiment_for("attack", "clips=0")
