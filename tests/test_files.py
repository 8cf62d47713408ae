"""Files are written completely or not at all."""

import errno
import os
import socket
from pathlib import Path

import pytest

from avrobust.cli.explain import explain
from avrobust.data.layout import Entry, read_list, write_list
from avrobust.utils.files import atomic_write, remove_leftovers


def test_a_file_takes_its_place_when_it_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")

    def interrupted() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_split_list_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    write_list(path, [Entry("bell", "a", 8)])
    with pytest.raises(ZeroDivisionError):
        write_list(path, (Entry("bell", str(i), 8 // (1 - i)) for i in range(2)))
    assert read_list(path) == [Entry("bell", "a", 8)]
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_dead_processes_go_and_files_of_living_ones_stay(tmp_path: Path) -> None:
    host, living, dead = socket.gethostname(), os.getpid(), 2**22 + 1  # above the largest pid
    stay = [f".a.json.{living}@{host}", f".b.json.{dead}@elsewhere", ".lock", ".gitignore", "c.7"]
    go = [f".a.json.{dead}@{host}", f".old.json.{dead}", f".d.json.{living}@elsewhere"]
    for name in (*stay, *go):
        (tmp_path / name).touch()
    os.utime(tmp_path / go[-1], (0, 0))
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(stay)


def test_a_write_that_fails_names_the_file_that_was_wanted(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match="No space") as failure,
        atomic_write(tmp_path / "result.json"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert explain(failure.value) == (
        f"{tmp_path / 'result.json'}: No space left on device; make room, then the same command "
        "goes on from what is finished"
    )
