"""`avrobust prepare` as a program: what it prints, how it ends, and what a killed run leaves."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from avrobust.cli.main import main
from avrobust.data.layout import Entry
from tests import forking
from tests.data.prepared import assert_whole, entries, manifest, run
from tests.data.videos import steady, write_video
from tests.support import AVROBUST, run_in_new_interpreter, start_script


def test_the_program_on_awkward_names(tmp_path: Path, clip: Path) -> None:
    """Names with spaces, commas, quotes, brackets and other scripts; no bar without a terminal."""
    names = [
        "a b.mp4",
        "c,d.mp4",
        'it\'s "q".mp4',
        "[red]x[bold].mp4",
        "скрипка.mp4",
        "夜%d:1.mp4",
        "-x.mp4",
    ]
    folder = tmp_path / "my videos" / "Church bell, [old]"
    folder.mkdir(parents=True)
    for name in names:
        shutil.copy(clip, folder / name)
    (folder / "[b]bad[i].mp4").touch()
    command = (AVROBUST, "prepare", "my videos", "root", "--workers", "2", "--seed", "5")
    result = run_in_new_interpreter(*command, cwd=tmp_path, timeout=120)
    assert (result.returncode, result.stderr) == (0, "")
    first, second = result.stdout.splitlines()
    assert first.startswith("prepared 7 clips, classes: 1, in root (7 now; ")
    assert first.endswith("drawn with seed 5); skipped 1")
    assert second == "  skipped 1, empty file: Church bell, [old]/[b]bad[i].mp4"
    assert {entry.stem for entry in entries(tmp_path / "root")} == {
        Path(name).stem for name in names
    }
    for entry in entries(tmp_path / "root"):
        assert_whole(tmp_path / "root", entry)


def start(videos: Path, root: Path) -> forking.Process:
    """Starts the program on many clips and comes back when some are done."""
    process = start_script(AVROBUST, "prepare", str(videos), str(root), "--workers", "1")
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        time.sleep(0.01)
        if (root / "manifest.csv").exists() and len(
            (root / "manifest.csv").read_text().splitlines()
        ) > 3:
            return process
    process.kill()
    raise AssertionError("no clip was finished")


CLIPS = 40


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on(tmp_path: Path, how: signal.Signals) -> None:
    videos, root = tmp_path / "videos", tmp_path / "root"
    clip = write_video(videos / "a" / "0.mp4", times=steady(4, 8))
    for i in range(1, CLIPS):
        shutil.copy(clip, clip.with_name(f"{i}.mp4"))
    process = start(videos, root)
    process.send_signal(how)
    _, err = process.communicate(timeout=30)
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130}[how]
    if how == signal.SIGINT:
        assert err == "avrobust: interrupted; the same command goes on where this one stopped\n"
    time.sleep(0.5)
    done = list((root / "audio" / "a").iterdir())
    stamps = {path: path.stat().st_mtime_ns for path in done}
    recorded = {root / "audio" / "a" / f"{row['stem']}.wav" for row in manifest(root).values()}
    assert 3 <= len(recorded) <= len(done) < CLIPS
    for path in done:
        assert_whole(root, Entry("a", path.stem, 32))
    assert not (root / "train.csv").exists()
    with (root / "manifest.csv").open("a") as file:
        file.write("a/7.mp4,a,7,,3")  # as if killed in the middle of a row
    summary = run(videos, root)
    assert (summary.made, len(summary.prepared)) == (CLIPS - len(recorded), CLIPS)
    assert len(entries(root)) == CLIPS
    for entry in entries(root):
        assert_whole(root, entry)
    assert all(path.stat().st_mtime_ns == stamps[path] for path in recorded)
    assert not (root / ".prepare").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "nowhere", "root"], "avrobust: {cwd}/nowhere: no such folder of videos\n"),
        (["prepare", "videos"], 'avrobust: Command "prepare" parameter ROOT requires an argument.'),
        (["prepare", "a", "b", "c"], "avrobust: Unexpected: c. (see avrobust prepare --help)\n"),
        (["prepare", "a", "b", "--color", "x"], "avrobust: Unknown option: --color."),
        (
            ["prepare", "a", "b", "--worker", "2"],
            "avrobust: Unknown option: --worker. Did you mean --workers?",
        ),
        (
            ["prepare", "a", "b", "--workers", "many"],
            'avrobust: Invalid value for --workers: "many" is not a whole number (see avrobust',
        ),
        (
            ["prepare", "a", "b", "--workers", "1.5"],
            'avrobust: Invalid value for --workers: "1.5" is not a whole number',
        ),
        (["repair"], 'avrobust: Unknown command "repair". Did you mean "prepare"? Available'),
        ([], "avrobust: COMMAND is missing; choices: prepare, report, status, dashboard, "),
    ],
)
def test_mistakes_end_in_one_line_and_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capfd.readouterr()
    assert err.startswith(message.format(cwd=tmp_path))
    assert (out, err.count("\n")) == ("", 1)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from avrobust.cli.main import main\n"
        "main(['prepare', '--help'])\n"
        "print(sorted({'av', 'numpy', 'torch', 'decord', 'pydantic'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert result.stdout.startswith("Usage: avrobust prepare")
    assert "--short-side" in result.stdout
    assert result.stdout.endswith("[]\n")
