"""Run folders: which run has which, what is in it, and who may work on it."""

import json
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from avrobust.experiments.results import SCHEMA, Result
from avrobust.experiments.runs import Run, run_for, training_of
from avrobust.experiments.settings import Experiment, Task
from tests.results import evaluation_result
from tests.support import experiment_for

EXPERIMENT = experiment_for("attack", "attack=fgsm")
FORCED = experiment_for("attack", "attack=fgsm", "force=true")
RESULT = evaluation_result(EXPERIMENT, (90, 50, 40, 10))


def run_id(*overrides: str, task: Task = "attack", fingerprint: str = "data") -> str:
    return run_for(_experiment(task, *overrides), fingerprint).run_id


def _experiment(task: Task, *overrides: str) -> Experiment:
    """An attack, or the training that the attack needs."""
    experiment = experiment_for("attack", *overrides)
    return training_of(experiment, experiment.model) if task == "train" else experiment


@pytest.mark.parametrize(
    "override",
    [
        "runs=elsewhere",
        "name=mine",
        "tags=[a,b]",
        "force=true",
        "stale=show",
        "workers=3",
        "batch_size=7",
        "batch_size=auto",
        "amp=false",
        "examples=0",
        "dataset.root=elsewhere",
        "trainer=cpu",
        "trainer=ddp",
        "trainer.devices=4",
        "eps=6e-3",
    ],
)
def test_what_changes_no_number_is_not_in_the_identity(override: str) -> None:
    assert run_id(override) == run_id()


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "fusion=sum",
        "audio=logmel",
        "visual=cnn",
        "attack=fgsm",
        "attack.steps=11",
        "threat=table1",
        "eps=0.007",
        "split=val",
        "training.epochs=3",
        "training.lr_head=0.5",
        "dataset.image_size=32",
        "trainer=smoke",
        "trainer.precision=bf16-mixed",
        "amp=true",
        "compile=true",
    ],
)
def test_what_can_change_a_number_is(override: str) -> None:
    assert run_id(override) != run_id()


def test_the_data_is_in_the_identity() -> None:
    assert run_id(fingerprint="other") != run_id()


@pytest.mark.parametrize("override", ["attack=fgsm", "threat=table1", "eps=0.1", "split=val"])
def test_an_attack_does_not_change_the_training_that_it_needs(override: str) -> None:
    assert run_id(override, task="train") == run_id(task="train")
    assert run_for(experiment_for("train"), "data").run_id == run_id(task="train")


def test_the_folder_can_be_read_by_a_person() -> None:
    run = run_for(experiment_for("attack", "fusion=sum", "attack=fgsm", "runs=r"), "data")
    assert str(run.folder).startswith("r/attack/synthetic-sum-fgsm-paper-0.006-s0-")


PINNED = {
    (): "synthetic-concat-pgd-paper-0.006-s0-424c973ea2",
    (
        "fusion=film",
        "defense=minsim_exfmem",
        "clips=24",
    ): "synthetic-film-minsim_exfmem-pgd-paper-0.006-s0-dcb9eb3c53",
    (
        "defense=adversarial_fast",
        "fusion@source.fusion=sum",
        "source.seed=3",
    ): "synthetic-concat-adversarial_fast-pgd-from-sum+s3-paper-0.006-s0-7e3cd09183",
    (
        "dataset=music",
        "visual.weights=null",
        "threat=table1",
        "attack=mim_released",
    ): "music-concat-mim_released-table1-0.006-s0-ef1bce6312",
}


@pytest.mark.parametrize("overrides", PINNED, ids=str)
def test_an_identity_stays_what_it_was(overrides: tuple[str, ...]) -> None:
    """A change of a run id orphans the runs of every user: it has to be wanted."""
    assert run_id(*overrides) == PINNED[overrides]


def test_moving_a_class_moves_no_run() -> None:
    experiment = experiment_for("attack", "defense=minsim_exfmem")
    text = json.dumps(asdict(experiment)).replace('"avrobust.', '"elsewhere.deeper.')
    moved = TypeAdapter(Experiment).validate_json(text)
    assert moved.model.fusion.target.startswith("elsewhere.deeper.models.fusion.")
    assert run_for(moved, "data").run_id == run_for(experiment, "data").run_id


def test_a_class_of_the_same_values_in_another_option_is_another_run() -> None:
    assert run_id("fusion=sum") != run_id("fusion=film")
    assert run_id("attack=pgd") != run_id("attack=mim", "attack.decay=0")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run("attack", RESULT.run_id, tmp_path / "attack" / RESULT.run_id)


def test_a_result_is_whole_or_absent(run: Run) -> None:
    with run.claim(EXPERIMENT) as result:
        assert result is None
        run.write_result(RESULT)
    with run.claim(EXPERIMENT) as result:
        assert result == RESULT
    with run.claim(FORCED) as result:
        assert result is None


def test_a_result_survives_the_file_and_a_number_that_is_not_finite_is_refused(run: Run) -> None:
    run.folder.mkdir(parents=True)
    run.write_result(RESULT)
    assert run.result() == RESULT
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.write_result(replace(RESULT, seconds=float("nan")))
    assert run.result() == RESULT


@pytest.mark.parametrize("text", ["", "[]", "{}", f'{{"schema": {SCHEMA}}}', '{"schema": 0}', "\0"])
def test_a_damaged_result_is_no_result_and_says_so(
    run: Run, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run.folder.mkdir(parents=True)
    (run.folder / "result.json").write_text(text)
    assert run.result() is None
    assert "result.json" in capsys.readouterr().err


def test_a_failure_is_written_down_and_cleared_by_a_success(run: Run) -> None:
    with pytest.raises(RuntimeError), run.claim(EXPERIMENT):
        raise RuntimeError("no luck")
    assert (run.folder / "error.txt").read_text().startswith("RuntimeError: no luck\n\nTraceback")
    with run.claim(EXPERIMENT):
        run.write_result(RESULT)
    assert not (run.folder / "error.txt").exists()


def test_a_second_job_waits_and_finds_the_result(run: Run) -> None:
    order: list[tuple[str, Result | None]] = []

    def work(name: str) -> None:
        with run.claim(EXPERIMENT) as result:
            order.append((name, result))
            time.sleep(0.3)
            run.write_result(RESULT)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order[0][1] is None
    assert order[1][1] == RESULT
