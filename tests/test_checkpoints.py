"""Checkpoints that were cut off, kills in the middle of a save, and full disks."""

import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests import forking
from tests.support import PROJECT, attack, run_script, start_script

EPOCHS = 5


def command(prepared: Path, runs: Path, *more: str) -> tuple[str, ...]:
    arguments = attack(prepared, runs, f"training.epochs={EPOCHS}", *more)
    return ("train.py", *arguments[1:])


@pytest.fixture(scope="module")
def unkilled(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one whole run."""
    runs = tmp_path_factory.mktemp("runs")
    done = run_script(*command(prepared, runs))
    assert done.returncode == 0, done.stderr
    (folder,) = (runs / "train").iterdir()
    return folder


@pytest.fixture(scope="module")
def killed(unkilled: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was killed after some epochs."""
    runs = tmp_path_factory.mktemp("runs")
    folder = runs / "train" / unkilled.name
    process = start_script(*command(prepared, runs))
    deadline = time.monotonic() + 200
    checkpoints = [folder / "training" / name for name in ("previous.ckpt", "last.ckpt")]
    while not all(path.is_file() for path in checkpoints):
        assert process.poll() is None, "finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return folder


def resumed(killed: Path, prepared: Path, runs: Path, damage: str, *more: str) -> tuple[Path, str]:
    """Damages checkpoints of a copy of the killed run and finishes it: its folder, its warnings."""
    folder = runs / "train" / killed.name
    shutil.copytree(killed, folder)
    for name in ("last.ckpt", "previous.ckpt")[: {"last": 1, "both": 2}[damage]]:
        path = folder / "training" / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = run_script(*command(prepared, runs, *more))
    assert done.returncode == 0, done.stderr
    return folder, done.stderr


@pytest.mark.parametrize(
    ("damage", "more", "warning"),
    [
        ("last", (), "set aside, the training goes on from the epoch before"),
        ("last", ("force=true",), "set aside, the training goes on from the epoch before"),
        ("both", (), "set aside, the training starts again"),
    ],
)
def test_a_training_goes_on_behind_a_damaged_checkpoint(
    damage: str,
    more: tuple[str, ...],
    warning: str,
    killed: Path,
    unkilled: Path,
    prepared: Path,
    tmp_path: Path,
) -> None:
    folder, err = resumed(killed, prepared, tmp_path, damage, *more)
    assert err.count("\n") == 1
    assert warning in err
    for name in ("checkpoint.ckpt", "metrics.csv"):
        assert (folder / name).read_bytes() == (unkilled / name).read_bytes(), name
    assert not (folder / "training").exists()


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.9, 0.9999])
def test_what_is_cut_off_at_any_length_is_set_aside(
    share: float, killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from avrobust.training.checkpoints import read_checkpoint, resumable

    folder = tmp_path / "training"
    shutil.copytree(killed / "training", folder)
    weights = read_checkpoint(folder / "previous.ckpt")["state_dict"]
    last = folder / "last.ckpt"
    content = last.read_bytes()
    assert resumable(folder, weights) == last
    last.write_bytes(content[: int(share * len(content))])
    assert resumable(folder, weights) == folder / "previous.ckpt"
    assert capsys.readouterr().err.count("\n") == 1
    assert (folder / "last.ckpt.damaged").is_file()
    assert resumable(folder, weights) == folder / "previous.ckpt"
    assert capsys.readouterr().err == ""


def test_a_state_whose_best_weights_are_gone_is_none(killed: Path, tmp_path: Path) -> None:
    from avrobust.training.checkpoints import read_checkpoint, resumable

    folder = tmp_path / "training"
    shutil.copytree(killed / "training", folder)
    weights = read_checkpoint(folder / "previous.ckpt")["state_dict"]
    for path in folder.glob("best-*.ckpt"):
        path.write_bytes(path.read_bytes()[:-100])
    assert resumable(folder, weights) is None


def test_a_kill_in_the_middle_of_a_save_leaves_the_old_file(tmp_path: Path) -> None:
    """A slow disk is the moment of a kill; the temporary folder is on another file system."""
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from avrobust.training.checkpoints import write_checkpoint\n"
        "path = Path(sys.argv[1])\n"
        "write_checkpoint({'epoch': 1}, path)\n"
        "os.fsync = lambda _: (Path(sys.argv[2]).touch(), time.sleep(60))\n"
        "write_checkpoint({'epoch': 2}, path)\n"
    )
    from avrobust.training.checkpoints import read_checkpoint
    from avrobust.utils.files import leftovers

    path, saving = tmp_path / "last.ckpt", tmp_path / "saving"
    with forking.start("-c", code, str(path), str(saving), cwd=PROJECT) as process:
        deadline = time.monotonic() + 60
        while not saving.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert leftovers(tmp_path) == []  # its process lives
        process.kill()
        process.wait()
    assert read_checkpoint(path) == {"epoch": 1}
    assert len(leftovers(tmp_path)) == 1


LIMITED = (
    "import resource, runpy, sys\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)\n"
    "del sys.argv[:2]\n"
    "sys.path.insert(0, '.')\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')\n"
)


@pytest.mark.parametrize(
    ("size", "file"), [(20_000, r"best-0\.ckpt"), (1_000, r"config\.yaml")], ids=["weights", "text"]
)
def test_a_file_that_cannot_be_written_is_one_line(
    size: int, file: str, prepared: Path, tmp_path: Path
) -> None:
    """A limit on the size of files stands for a full disk: the same call fails in the same way."""
    arguments = command(prepared, tmp_path / "runs")
    done = forking.run("-c", LIMITED, str(size), *arguments, cwd=PROJECT, timeout=120)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert re.search(rf"train\.py: .*/{file}: File too large", done.stderr)
    assert not list((tmp_path / "runs").rglob(".*@*"))


def test_a_model_whose_weights_are_damaged_is_trained_again(
    unkilled: Path, prepared: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "train" / unkilled.name
    shutil.copytree(unkilled, folder)
    weights = (folder / "checkpoint.ckpt").read_bytes()
    (folder / "checkpoint.ckpt").write_bytes(weights[:-1000])
    done = run_script(*command(prepared, tmp_path))
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "checkpoint.ckpt: damaged" in done.stderr
    assert "the model is trained again" in done.stderr
    assert (folder / "checkpoint.ckpt").read_bytes() == weights


def test_what_a_kill_left_of_a_finished_run_goes_when_it_is_shown(
    unkilled: Path, prepared: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "train" / unkilled.name
    shutil.copytree(unkilled, folder)
    (folder / "training").mkdir()
    (folder / "training" / "last.ckpt").write_bytes(b"of the run before")
    gone = forking.start("-c", "pass")
    gone.wait()
    (folder / f".checkpoint.ckpt.{gone.pid}").touch()
    done = run_script(*command(prepared, tmp_path))
    assert done.returncode == 0
    assert {path.name for path in folder.iterdir()} - {".lock"} == {
        "checkpoint.ckpt",
        "config.yaml",
        "metrics.csv",
        "result.json",
    }
