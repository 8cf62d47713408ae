"""A training over two processes on a CPU gives the model that one process gives."""

from pathlib import Path

import pytest
import torch

from tests.support import attack, run_in_new_interpreter

ONE_PROCESS = ("trainer.accelerator=cpu",)
TWO_PROCESSES = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
# In float64 the order of a sum changes a weight by 1e-15, so that a real difference stands out.
DOUBLE = ("trainer.precision=64-true", "visual=cnn")


def train(prepared: Path, runs: Path, *more: str) -> dict[str, torch.Tensor]:
    """The weights of a trained model."""
    command = [word for word in attack(prepared, runs, *more) if word != "trainer=cpu"]
    done = run_in_new_interpreter("train.py", *command[1:])
    assert done.returncode == 0, done.stderr
    (checkpoint,) = (runs / "train").glob("*/checkpoint.ckpt")
    weights: dict[str, torch.Tensor] = torch.load(checkpoint, weights_only=True)["state_dict"]
    return weights


@pytest.mark.slow
@pytest.mark.parametrize("defense", ["none", "minsim", "adversarial"])
def test_two_processes_train_the_model_that_one_trains(
    prepared: Path, tmp_path: Path, defense: str
) -> None:
    options = (*DOUBLE, f"defense={defense}")
    one = train(prepared, tmp_path / "one", *ONE_PROCESS, *options)
    two = train(prepared, tmp_path / "two", *TWO_PROCESSES, *options)
    assert one.keys() == two.keys()
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, atol=1e-7, rtol=0, msg=name)


@pytest.mark.slow
def test_devices_that_cannot_share_a_batch_are_refused_in_one_line(
    prepared: Path, tmp_path: Path
) -> None:
    command = attack(prepared, tmp_path, "training.batch_size=9", *TWO_PROCESSES)[1:]
    done = run_in_new_interpreter("train.py", *(w for w in command if w != "trainer=cpu"))
    assert done.returncode == 2
    assert "training.batch_size=9" in done.stderr
    assert "Traceback" not in done.stderr
