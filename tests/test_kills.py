"""Commands that are killed at any moment, and given again: the files are those of one whole run."""

import json
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from avrobust.preparation.manifest import read_manifest
from avrobust.utils.files import leftovers
from tests.data.videos import steady, write_video
from tests.support import AVROBUST, attack, run_script, start_script

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)  # drawn from these
KILLS_OF_ONE_RUN = 3  # before it is left to finish
# What differs between two runs of one command.
OF_THE_MOMENT = ("seconds", "provenance", "started", "host", "pid")


class Task(NamedTuple):
    """A command whose files are compared."""

    name: str
    command: tuple[str, ...]  # {work} stands for the folder that it writes
    base: Path | None = None  # what lies in the folder before


def whole(work: Path) -> dict[str, object]:
    """All files of a folder by name, but for what belongs to the moment and to the place."""
    files: dict[str, object] = {}
    for path in sorted(work.rglob("*")):
        if not path.is_file() or path.name == ".lock":
            continue
        content = path.read_bytes().replace(str(work).encode(), b"{work}")
        files[str(path.relative_to(work))] = _comparable(path, content)
    return files


def _comparable(path: Path, content: bytes) -> object:
    if path.suffix == ".json":
        return _timeless(json.loads(content))
    if path.name == "manifest.csv":
        return [row._replace(modified=0, changed=0, stamp="") for row in read_manifest(path)]
    if path.name == "index.html":
        return re.sub(rb"\d{4}-\d\d-\d\d \d\d:\d\d UTC", b"", content)
    return content


def _timeless(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _timeless(value) for key, value in content.items() if key not in OF_THE_MOMENT}
    return content


def check_kills(task: Task, folder: Path, kills: int, seed: int) -> None:
    """Kills a command at random moments, lets it finish, and compares what it leaves.

    Args:
        task: the command.
        folder: an empty one to work in.
        kills: how many moments.
        seed: of the moments and the signals.

    Raises:
        AssertionError: a killed and repeated command ends otherwise than an unkilled one.
    """
    draw = random.Random(f"{task.name} {seed}")
    expected, seconds = _unkilled(task, folder / "unkilled")
    struck, longest = 0, 0.0
    for first in range(0, kills, KILLS_OF_ONE_RUN):
        work = _folder_for(task, folder / f"killed{first}")
        story = []  # names the moments where a comparison fails
        for _ in range(min(KILLS_OF_ONE_RUN, kills - first)):
            moment, number = draw.uniform(0, seconds), draw.choice(SIGNALS)
            story.append(f"{number.name} after {moment:.2f} of {seconds:.2f} s")
            struck += _kill(task, work, moment, number)
        started = time.monotonic()
        done = run_script(*_command(task, work))
        longest = max(longest, time.monotonic() - started)
        assert done.returncode == 0, (story, done.stderr)
        actual = whole(work)
        assert actual.keys() == expected.keys(), story
        differing = [name for name in expected if actual[name] != expected[name]]
        assert not differing, (story, differing)
        for path in (work, *work.rglob("*/")):
            assert not leftovers(path), story
        shutil.rmtree(work)
    print(  # noqa: T201
        f"{task.name}: {struck} of {kills} kills struck; unkilled {seconds:.1f} s, "
        f"after the last kill at most {longest:.1f} s"
    )


def _unkilled(task: Task, work: Path) -> tuple[dict[str, object], float]:
    """The files of the command, and its seconds."""
    _folder_for(task, work)
    started = time.monotonic()
    done = run_script(*_command(task, work))
    assert done.returncode == 0, done.stderr
    return whole(work), time.monotonic() - started


def _folder_for(task: Task, work: Path) -> Path:
    if task.base is None:
        work.mkdir()
    else:
        shutil.copytree(task.base, work)
    return work


def _command(task: Task, work: Path) -> tuple[str, ...]:
    return tuple(word.replace("{work}", str(work)) for word in task.command)


def _kill(task: Task, work: Path, moment: float, number: signal.Signals) -> bool:
    """Starts the command and signals it; whether it still ran at that moment."""
    process = start_script(*_command(task, work))
    time.sleep(moment)
    if process.poll() is not None:
        return False
    process.send_signal(number)
    status = process.wait(60)
    _, err = process.communicate()
    # A command that is about to end may end well.
    assert status in ({signal.SIGINT: 130}.get(number, -number), 0), (status, err)
    if number == signal.SIGINT and status:
        assert err.count("interrupted; the same command goes on") == 1, err
        assert "Traceback" not in err, err
    return True


def training(prepared: Path) -> tuple[str, ...]:
    command = attack(prepared, Path("{work}"), "training.epochs=4")
    return ("train.py", *command[1:])


def _prepare(prepared: Path, attacked: Path, folder: Path) -> Task:
    videos = folder / "videos"
    clip = write_video(videos / "a" / "0.mp4", times=steady(4, 8))
    for i in range(1, 30):
        copy = videos / "ab"[i % 2] / f"{i}.mp4"
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(clip, copy)
    return Task("prepare", (AVROBUST, "prepare", str(videos), "{work}", "--workers", "2"))


def _train(prepared: Path, attacked: Path, folder: Path) -> Task:
    return Task("train", training(prepared))


def _attack(prepared: Path, attacked: Path, folder: Path) -> Task:
    return Task("attack", attack(prepared, Path("{work}"), "attack=mim"), attacked)


def _defend(prepared: Path, attacked: Path, folder: Path) -> Task:
    command = attack(prepared, Path("{work}"), "attack=fgsm", "defense=minsim_exfmem")
    return Task("defend", ("defend.py", *command[1:]), attacked)


def _sweep(prepared: Path, attacked: Path, folder: Path) -> Task:
    return Task("sweep", attack(prepared, Path("{work}"), "-m", "attack=fgsm,mim", "fusion=sum"))


def _report(prepared: Path, attacked: Path, folder: Path) -> Task:
    return Task("report", (AVROBUST, "report", "--runs", "{work}"), attacked)


TASKS: Sequence[Callable[[Path, Path, Path], Task]] = (
    _prepare,
    _train,
    _attack,
    _defend,
    _sweep,
    _report,
)


@pytest.mark.parametrize("task", [_train, _attack])
def test_two_kills_change_nothing(
    task: Callable[[Path, Path, Path], Task], prepared: Path, attacked: Path, tmp_path: Path
) -> None:
    check_kills(task(prepared, attacked, tmp_path), tmp_path, kills=2, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__.strip("_"))
def test_kills_at_many_moments_change_nothing(
    task: Callable[[Path, Path, Path], Task],
    prepared: Path,
    attacked: Path,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    kills, seed = pytestconfig.getoption("--kills"), pytestconfig.getoption("--kills-seed")
    check_kills(task(prepared, attacked, tmp_path), tmp_path, kills, seed)
