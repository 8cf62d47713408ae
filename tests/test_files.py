"""Files are written completely or not at all."""

from pathlib import Path

import pytest

from avrobust.data.layout import Entry, read_list, write_list
from avrobust.utils.files import atomic_write


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
