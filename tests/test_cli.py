"""The scripts as a user types them, in processes of their own."""

import csv
import shutil
from pathlib import Path

import pytest

from tests.results import evaluations, trainings
from tests.support import (
    AVROBUST,
    PROJECT,
    attack,
    options,
    run_in_new_interpreter,
    run_script,
)


@pytest.fixture(scope="module")
def swept(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of a small multirun over two attacks, the model trained on the way."""
    runs = tmp_path_factory.mktemp("runs")
    done = run_script(*attack(prepared, runs, "-m", "attack=fgsm,mim_released", "eps=0.05"))
    assert done.returncode == 0, done.stderr
    return runs


def test_a_sweep_trains_once_and_attacks_each(swept: Path) -> None:
    assert len(trainings(swept)) == 1
    attacks = [result.settings.attack.name for result in evaluations(swept)]
    assert sorted(attacks) == ["fgsm", "mim_released"]


def test_the_files_of_an_attack(swept: Path) -> None:
    for folder in (swept / "attack").iterdir():
        found = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
        assert found == {"config.yaml", "examples.csv", "examples.npz", "result.json"}


def test_the_row_can_be_recomputed_from_the_examples(swept: Path) -> None:
    for result in evaluations(swept):
        with (swept / "attack" / result.run_id / "examples.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 4 * 9
        for condition, accuracy in result.accuracy.items():
            own = [row for row in rows if row["condition"] == condition]
            correct = sum(row["label"] == row["prediction"] for row in own)
            assert correct / 9 * 100 == pytest.approx(accuracy)
        accuracies = result.accuracy
        mean = sum(accuracies[c] for c in ("audio", "visual", "audiovisual")) / 3
        assert result.average == pytest.approx(mean)


def test_the_unbounded_attack_is_marked(swept: Path) -> None:
    done = run_script(AVROBUST, "report", "--runs", str(swept))
    assert done.returncode == 0, done.stderr
    (marked,) = (line for line in done.stdout.splitlines() if "not ε-bounded" in line)
    assert "| mim_released |" in marked


def test_the_same_command_prints_the_row_again_without_work(prepared: Path, swept: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in swept.rglob("result.json")}
    done = run_script(*attack(prepared, swept, "attack=mim_released", "eps=0.05"))
    assert done.returncode == 0, done.stderr
    assert "NOT eps-bounded" in done.stdout
    assert {p: p.stat().st_mtime_ns for p in swept.rglob("result.json")} == before


def test_no_warning_reaches_the_user(prepared: Path, tmp_path: Path) -> None:
    done = run_in_new_interpreter(*attack(prepared, tmp_path, "attack=fgsm"))
    assert done.returncode == 0
    assert done.stderr == ""


def corrupt(runs: Path) -> None:
    (checkpoint,) = (runs / "train").glob("*/checkpoint.ckpt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])


def test_a_model_with_a_corrupt_checkpoint_is_trained_again(
    prepared: Path, attacked: Path, tmp_path: Path
) -> None:
    shutil.copytree(attacked, tmp_path / "runs")
    corrupt(tmp_path / "runs")
    done = run_script(*attack(prepared, tmp_path / "runs", "attack=fgsm", "eps=0.1"))
    assert_one_line(done.stderr, "not a zip file); the model is trained again")
    assert done.returncode == 0


def assert_one_line(stderr: str, expected: str) -> None:
    assert expected in stderr
    assert stderr.count("\n") == 1, stderr


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            ("train.py", "fusion=gated_conct"),
            "fusion=gated_conct: no such option; choices: attention, audio_only, concat",
        ),
        (
            ("train.py", "training.epoch=3"),
            "train.py: training.epoch: no such key; did you mean epochs?",
        ),
        (("attack.py", "eps=-0.1"), "attack.py: eps=-0.1: must be a finite number of at least 0"),
        (("attack.py", "eps=abc"), "attack.py: eps=abc: is not a number"),
        (("attack.py", "sweep=tabel1"), "attack.py: sweep=tabel1: no such option; choices: "),
        (
            ("train.py", "dataset=folder", "dataset.root=/no/such/root"),
            "dataset.root=/no/such/root: no folder",
        ),
    ],
)
def test_mistakes_end_in_one_line_and_status_2(
    command: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    done = run_script(*command, f"runs={tmp_path / 'runs'}")
    assert_one_line(done.stderr, expected)
    assert done.returncode == 2
    assert not list(tmp_path.glob("runs/*/*/result.json"))


def test_an_empty_root_is_named(tmp_path: Path) -> None:
    done = run_script(
        "train.py", "dataset=folder", f"dataset.root={tmp_path}", f"runs={tmp_path / 'runs'}"
    )
    assert_one_line(done.stderr, "prepare the videos first: avrobust prepare VIDEOS")
    assert done.returncode == 2


def test_a_folder_of_results_that_cannot_be_written_is_named(
    prepared: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs").write_text("a file, not a folder")
    done = run_script(*attack(prepared, tmp_path / "runs"))
    assert_one_line(done.stderr, f"{tmp_path / 'runs'}")
    assert done.returncode == 2


def test_a_model_that_cannot_take_the_clips_is_refused_before_training(
    prepared: Path, tmp_path: Path
) -> None:
    done = run_script(*attack(prepared, tmp_path, "dataset.audio_samples=64"))
    assert_one_line(done.stderr, "the model cannot take clips of dataset.audio_samples=64")
    assert done.returncode == 2


def test_a_damaged_clip_is_left_out_counted_and_named(tmp_path: Path) -> None:
    from tests.support import write_prepared

    root = tmp_path / "set"
    write_prepared(root)
    next((root / "audio" / "bell").glob("test*.wav")).write_bytes(b"")
    done = run_script(*attack(root, tmp_path / "runs", "attack=fgsm"))
    assert done.returncode == 0, done.stderr
    assert "1 clips could not be read, first bell/test" in done.stdout
    (result,) = evaluations(tmp_path / "runs")
    assert result.n == 8
    assert len(result.skipped) == 1


def test_smoke_runs_in_seconds(prepared: Path, tmp_path: Path) -> None:
    done = run_script(
        *attack(prepared, tmp_path, "attack=fgsm", "trainer=smoke", "training.epochs=1")
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("script", ["train.py", "attack.py", "defend.py"])
def test_help_answers_at_once_and_lists_the_choices(script: str) -> None:
    done = run_in_new_interpreter(script, "--help", timeout=20)
    assert done.returncode == 0
    assert "concat*" in done.stdout
    groups = ["dataset", "audio", "visual", "fusion", "defense", "trainer", "sweep"]
    for option in (
        o
        for group in [*groups, *([] if script == "train.py" else ["attack", "threat"])]
        for o in options(group)
    ):
        assert option in done.stdout


def test_every_file_of_the_repository_is_reached_from_any_folder(
    prepared: Path, tmp_path: Path
) -> None:
    done = run_script(*attack(prepared, tmp_path / "runs", "--cfg", "job"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (PROJECT / "configs" / "sweep").resolve() == PROJECT / "sweeps"
