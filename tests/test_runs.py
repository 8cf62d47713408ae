import threading
import time
from pathlib import Path

import pytest

from avrobust.experiments.runs import Run, run_for
from tests.support import experiment_for


def run_id(*overrides: str, task: str = "attack", fingerprint: str = "data") -> str:
    return run_for(task, experiment_for("attack", *overrides), fingerprint).run_id  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "override",
    [
        "runs=elsewhere",
        "name=mine",
        "tags=[a,b]",
        "force=true",
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
    assert run_for("train", experiment_for("train"), "data").run_id == run_id(task="train")


def test_the_folder_can_be_read_by_a_person() -> None:
    run = run_for("attack", experiment_for("attack", "fusion=sum", "attack=fgsm", "runs=r"), "data")
    assert str(run.folder).startswith("r/attack/synthetic-sum-fgsm-paper-0.006-s0-")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run("train", "x", tmp_path / "train" / "x")


def test_a_result_is_whole_or_absent(run: Run) -> None:
    with run.claim(force=False) as result:
        assert result is None
        run.write_result({"a": 1})
    with run.claim(force=False) as result:
        assert result == {"a": 1}
    with run.claim(force=True) as result:
        assert result is None


def test_a_failure_is_written_down_and_cleared_by_a_success(run: Run) -> None:
    with pytest.raises(RuntimeError), run.claim(force=False):
        raise RuntimeError("no luck")
    assert (run.folder / "error.txt").read_text().startswith("RuntimeError: no luck\n\nTraceback")
    with run.claim(force=False):
        run.write_result({})
    assert not (run.folder / "error.txt").exists()


def test_a_second_job_waits_and_finds_the_result(run: Run) -> None:
    order = []

    def work(name: str) -> None:
        with run.claim(force=False) as result:
            order.append((name, result))
            time.sleep(0.3)
            run.write_result({"by": name})

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order[0][1] is None
    assert order[1][1] == {"by": order[0][0]}
