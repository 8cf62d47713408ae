from pathlib import Path

import pytest

from avrobust.data.layout import Entry, read_list, write_list
from avrobust.errors import UserError

ENTRIES = [
    Entry("flute", "a", 24),
    Entry("Church bell", 'it\'s, "quoted"', 1),
    Entry("скрипка", "夜 — 01.wav", 0),
    Entry("x", ".mp4", 9),
]


def test_a_list_survives_writing_and_reading(tmp_path: Path) -> None:
    write_list(tmp_path / "lists" / "train.csv", ENTRIES)
    assert read_list(tmp_path / "lists" / "train.csv") == ENTRIES


def test_the_format_is_the_released_one(tmp_path: Path) -> None:
    write_list(tmp_path / "train.csv", ENTRIES[:1])
    assert (tmp_path / "train.csv").read_bytes() == b"/flute/a.wav,/flute/a.mp4,24\n"
    (tmp_path / "val.csv").write_bytes(
        b"\xef\xbb\xbf/flute/a.wav,/flute/a.mp4,24\r\n\r\n/tuba/b.wav,/tuba/b.mp4,3\r\n"
    )
    assert read_list(tmp_path / "val.csv") == [Entry("flute", "a", 24), Entry("tuba", "b", 3)]


def test_where_a_clip_lies(tmp_path: Path) -> None:
    entry = Entry("flute", "a", 24)
    assert entry.key == "flute/a"
    assert entry.audio_path(tmp_path) == tmp_path / "audio" / "flute" / "a.wav"
    assert entry.frame_path(tmp_path, 7) == tmp_path / "frames" / "flute" / "a.mp4" / "000007.jpg"


@pytest.mark.parametrize(
    "row",
    [
        "/flute/a.wav,/flute/a.mp4",
        "/flute/a.wav,/flute/b.mp4,24",
        "/flute/a.wav,/tuba/a.mp4,24",
        "/flute/a.wav,/flute/a.mp4,many",
        "/flute/a.wav,/flute/a.mp4,-1",
        "/../a.wav,/../a.mp4,24",
        "/flute/b/a.wav,/flute/b/a.mp4,24",
        "//a.wav,//a.mp4,24",
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str) -> None:
    path = tmp_path / "test.csv"
    path.write_text(f"/flute/a.wav,/flute/a.mp4,24\n{row}\n")
    with pytest.raises(UserError, match="line 2") as caught:
        read_list(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.csv: no such split list"):
        read_list(tmp_path / "train.csv")
