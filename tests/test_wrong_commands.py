"""Wrong commands of `avrobust`: each is one line, status 2, and leaves nothing behind."""

import shlex
from pathlib import Path

import pytest

from tests.wrong import assert_refused, user_seconds

DAMAGED = "runs/attack/damaged"  # a folder of a run whose result cannot be read

# (the command line after `avrobust`, what the message has to name)
CASES = [
    ("", "COMMAND"),
    ("nope", "nope"),
    ("reprot", "reprot"),
    ("--nope", "--nope"),
    ("-x", "-x"),
    ("report nope", "nope"),
    ("report --nope", "--nope"),
    ("report --runs", "--runs"),
    ("report --runs nowhere", "nowhere"),
    ("report --runs file", "file"),
    ("report --runs empty", "empty"),
    ("report --size 0", "--size"),
    ("report --size -5", "--size"),
    ("report --size foo", "--size"),
    ("report --size 1.5", "--size"),
    ("report --tables=maybe", "--tables"),
    ("report --no-tables", "--no-tables"),
    ("report --runs a --runs b", "--runs"),
    ("report --size 1 --size 2", "--size"),
    ("report -- --size 3", "--size"),
    ("report runs", "runs"),
    ("status nope", "nope"),
    ("status a b", "b"),
    ("status --runs file", "file"),
    ("status --runs", "--runs"),
    ("status --nope", "--nope"),
    ("prepare", "VIDEOS"),
    ("prepare a", "ROOT"),
    ("prepare a b c", "c"),
    ("prepare nowhere out", "nowhere"),
    ("prepare file out", "file"),
    ("prepare empty file", "empty"),
    ("prepare empty out", "empty"),
    ("prepare empty out --seed foo", "--seed"),
    ("prepare empty out --seed -1", "--seed"),
    ("prepare empty out --workers 0", "--workers"),
    ("prepare empty out --workers -1", "--workers"),
    ("prepare empty out --workers foo", "--workers"),
    ("prepare empty out --short-side 0", "--short-side"),
    ("prepare empty out --short-side foo", "--short-side"),
    ("prepare empty out --labels nowhere.csv", "nowhere.csv"),
    ("prepare empty out --labels empty", "empty"),
    ("prepare empty out --labels file", "file"),
    ("prepare empty out --label-column x", "empty"),
    ("prepare empty empty", "empty"),
    ("prepare -- empty", "ROOT"),
    ("surface", "RUN"),
    ("surface nowhere", "nowhere"),
    ("surface file", "file"),
    ("surface empty", "empty"),
    ("surface runs/attack/damaged", "runs/attack/damaged"),
    ("surface empty --nope", "--nope"),
    ("surface empty --steps foo", "--steps"),
    ("surface empty --clips 0", "--clips"),
    ("embeddings", "RUN"),
    ("embeddings nowhere", "nowhere"),
    ("embeddings empty --clips foo", "--clips"),
    ("localize", "RUN"),
    ("localize nowhere", "nowhere"),
    ("localise nowhere", "localise"),
    ("dashboard x", "x"),
    ("dashboard --project", "--project"),
    ("dashboard --entity", "--entity"),
    ("report --runs 'a\x1b[31m'", "no finished attack"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with what some of the commands name."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / DAMAGED).mkdir(parents=True)
    (tmp_path / DAMAGED / "result.json").write_text("[]")
    return tmp_path


@pytest.mark.parametrize(("line", "at_fault"), CASES)
def test_a_wrong_command_is_one_line(line: str, at_fault: str, folder: Path) -> None:
    assert_refused("avrobust", shlex.split(line), at_fault, folder)


@pytest.mark.parametrize("line", ["nope", "report --size foo", "prepare a"])
def test_a_wrong_command_is_refused_in_seconds(line: str, folder: Path) -> None:
    at_fault = {"nope": "nope", "report --size foo": "--size", "prepare a": "ROOT"}[line]
    assert user_seconds("avrobust", shlex.split(line), at_fault, folder) <= 3.0
