"""Checkpoints that were cut off, kills in the middle of a save, and full disks."""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def resumed(
    killed: Path, prepared: Path, runs: Path, kinds: str, damage: str, *more: str
) -> tuple[Path, str]:
    """Damages checkpoints of a copy of the killed run and finishes it: its folder, its warnings."""
    folder = runs / "train" / killed.name
    shutil.copytree(killed, folder)
    for kind in kinds.split():
        for path in list((folder / "training").glob(kind)):
            ANY_FILE[damage](path)
    done = run_script(*command(prepared, runs, *more))
    assert done.returncode == 0, done.stderr
    return folder, done.stderr


@pytest.mark.parametrize(
    ("kinds", "damage", "more", "warning"),
    [
        ("last*", "cut", (), "set aside, the training goes on from the epoch before"),
        ("last*", "cut", ("force=true",), "set aside, the training goes on from the epoch before"),
        ("last*", "flipped byte", (), "set aside, the training goes on from the epoch before"),
        ("last* previous*", "cut", (), "set aside, the training starts again"),
        ("best*", "NaN", (), "set aside, the training starts again"),
        ("*", "folder", (), "set aside, the training starts again"),
        ("best*", "fifo", (), "set aside, the training starts again"),
    ],
)
def test_a_training_goes_on_behind_a_damaged_checkpoint(
    kinds: str,
    damage: str,
    more: tuple[str, ...],
    warning: str,
    killed: Path,
    unkilled: Path,
    prepared: Path,
    tmp_path: Path,
) -> None:
    folder, err = resumed(killed, prepared, tmp_path, kinds, damage, *more)
    assert err.count("\n") == 1
    assert warning in err
    for name in ("checkpoint.ckpt", "metrics.csv"):
        assert (folder / name).read_bytes() == (unkilled / name).read_bytes(), name
    assert not (folder / "training").exists()


Damage = Callable[[Path], None]


def resume(folder: Path, killed: Path) -> Path | None:
    """The checkpoint in a folder that the killed training goes on from."""
    from avrobust.training.checkpoints import ORIGIN, Origin, read_checkpoint
    from avrobust.training.resuming import Whole, resumable

    state = read_checkpoint(killed / "training" / "previous.ckpt")
    origin = Origin(**state.pop(ORIGIN))
    state["callbacks"]["EpochCheckpoints"]["rows"] = None
    (optimizer,) = state["optimizer_states"]
    momenta = [momentum["momentum_buffer"] for momentum in optimizer.pop("state").values()]
    return resumable(folder, origin, Whole(state, momenta))


def cut(share: float) -> Damage:
    """Cuts off the end of a file."""

    def damage(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return damage


def flip(share: float) -> Damage:
    """Inverts one byte of a file."""

    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(share * len(content))] ^= 255
        path.write_bytes(content)

    return damage


def edit(key: str, change: Callable[[Any], Any]) -> Damage:
    """Writes a whole file with another value at a key, its parts divided by slashes."""

    def damage(path: Path) -> None:
        from avrobust.training.checkpoints import read_checkpoint, write_checkpoint

        state = read_checkpoint(path)
        *keys, last = key.split("/")
        part = state
        for name in keys:
            part = part[name]
        part[last] = change(part[last])
        write_checkpoint(state, path)

    return damage


def become_nan(weights: dict[str, Any]) -> dict[str, Any]:
    changed = dict(weights)
    name = next(name for name, value in weights.items() if value.is_floating_point())
    changed[name] = weights[name] * float("nan")
    return changed


def widen(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: value.new_zeros((*value.shape, 2)) for name, value in weights.items()}


def become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").touch()


def become_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


ANY_FILE = {
    "cut to nothing": cut(0),
    "cut early": cut(0.001),
    "cut": cut(0.1),
    "cut late": cut(0.9),
    "cut at the end": cut(0.9999),
    "flipped byte": flip(0.5),
    "another seed": edit("origin/run_id", lambda name: name + "1"),
    "other code": edit("origin/sources", lambda sources: {**sources, "fusion": "0"}),
    "another stage before": edit("origin/weights", lambda _: {"a": "b"}),
    "no origin": edit("origin", lambda _: None),
    "NaN": edit("state_dict", become_nan),
    "other shapes": edit("state_dict", widen),
    "other names": edit("state_dict", lambda weights: {}),
    "another epoch": edit("epoch", lambda epoch: epoch + 7),
    "folder": become_folder,
    "fifo": become_fifo,
    "loop": become_loop,
}
ROWS = "callbacks/EpochCheckpoints/rows"
MOMENTA = "optimizer_states"
STATES = {
    "no optimizer": edit(MOMENTA, lambda _: []),
    "no momentum": edit(MOMENTA, lambda states: [{**states[0], "state": {}}]),
    "other momentum": edit(MOMENTA, lambda states: [{**states[0], "state": {0: {"a": 1}}}]),
    "no schedule": edit("lr_schedulers", lambda _: []),
    "a schedule of text": edit("lr_schedulers", lambda _: [{"last_epoch": "1"}]),
    "no loops": edit("loops", lambda _: {}),
    "loops of another epoch": edit(
        "loops/fit_loop/epoch_progress/current/processed", lambda count: count + 1
    ),
    "rows=5": edit(ROWS, lambda _: 5),
    "rows of numbers": edit(ROWS, lambda rows: [{**row, "epoch": 0} for row in rows]),
    "rows of another epoch": edit(ROWS, lambda rows: rows[1:]),
    "best epoch of text": edit("callbacks/EpochCheckpoints/best_epoch", lambda _: "../../x"),
    "best value NaN": edit("callbacks/EpochCheckpoints/best_value", lambda _: float("nan")),
}


@pytest.mark.parametrize("damage", (ANY_FILE | STATES).values(), ids=(ANY_FILE | STATES).keys())
def test_what_is_not_whole_or_of_another_training_is_set_aside(
    damage: Damage, killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "training"
    shutil.copytree(killed / "training", folder)
    last = folder / "last.ckpt"
    assert resume(folder, killed) == last
    damage(last)
    assert resume(folder, killed) == folder / "previous.ckpt"
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert "cannot be used; set aside, the training goes on from the epoch before" in warning
    assert os.path.lexists(folder / "last.ckpt.damaged")
    assert not os.path.lexists(last)
    assert resume(folder, killed) == folder / "previous.ckpt"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", ANY_FILE.values(), ids=ANY_FILE.keys())
def test_the_best_weights_are_checked_as_the_state_is(
    damage: Damage, killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "training"
    shutil.copytree(killed / "training", folder)
    for path in list(folder.glob("best-*.ckpt")):
        damage(path)
    assert resume(folder, killed) is None
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert "set aside, the training starts again" in warning
    assert not list(folder.glob("*.ckpt"))


def test_what_stands_in_the_way_of_later_checkpoints_is_set_aside(
    killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "training"
    shutil.copytree(killed / "training", folder)
    become_folder(folder / "previous.ckpt")
    (folder / "best-99.ckpt").mkdir()
    (folder / "best-99.ckpt.damaged").mkdir()
    assert resume(folder, killed) == folder / "last.ckpt"
    warning = capsys.readouterr().err
    assert "previous.ckpt (not a file), best-99.ckpt (not a file)" in warning
    assert "the training goes on from the last epoch" in warning
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {
        "previous.ckpt.damaged",
        "best-99.ckpt.damaged",
        "best-99.ckpt.damaged2",
    }


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
