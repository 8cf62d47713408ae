"""File and folder names of any bytes, from the videos to the report."""

import csv
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from avrobust.cli.main import main
from avrobust.data.layout import SPLITS
from avrobust.data.loaders import EpochSampler, make_loader
from avrobust.data.prepared import Prepared
from avrobust.errors import UserError
from avrobust.preparation.names import LONGEST, collision_key, printable, safe_name
from avrobust.preparation.sources import find_videos
from tests.data.prepared import entries, run
from tests.support import attack, run_script

NAMES = [
    b"a\rb.mp4",
    b"a\nb.mp4",
    b"\r\n.mp4",
    b"tab\there.mp4",
    b'com,ma "quote".mp4',
    b'"',
    b"=1+1.mp4",
    b"-rf.mp4",
    b"  spaces  .mp4 ",
    b"100%.mp4",
    b"%0d{split}%s.mp4",
    b"*?[a]{b}.mp4",
    b"back\\slash.mp4",
    b"\xff\xfe.mp4",
    b"\xffr.mp4",
    b"%r.mp4",
    "\U0001f3ba\u200d\u2764.mp4".encode(),
    "\u202egnp.4pm\u2066.mp4".encode(),
    "line\u2028paragraph\u2029next\u0085.mp4".encode(),
    b"n" * 255,
    b"n" * 254 + b"m",
    "\u00e9".encode() * 125 + b".mp4",
    b"con",
    b"a..mp4",
    b"train.csv",
    b"manifest.csv",
    b"[bold]x<b>.mp4",
    b"\x1b[31mred\x07.mp4",
    "caf\u00e9.mp4".encode(),
    "cafe\u0301.mp4".encode(),
    b"CASE.mp4",
    b"case.mp4",
    b"case_2.mp4",
]
CLASSES = [b"\xff\r, \"=x'\n", "-{split} %s *\U0001f3ba \\".encode(), b"c" * 255]


def _write(folder: bytes, names: list[bytes], clip: Path) -> None:
    os.makedirs(folder)  # noqa: PTH103 - pathlib takes no bytes
    for name in names:
        shutil.copy(os.fsencode(clip), folder + b"/" + name)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    """A data set of hostile names; its classes hold all names together."""
    videos = tmp_path_factory.mktemp("hostile") / "videos"
    try:
        _write(os.fsencode(videos.parent) + b"/\xff", [b"\r\xff"], clip)
    except OSError:
        pytest.skip("this file system refuses such names")
    for i, label in enumerate(CLASSES):
        _write(os.fsencode(videos) + b"/" + label, NAMES[i::2] if i < 2 else NAMES[:5], clip)
    summary = run(videos, videos.parent / "root")
    assert not summary.reasons
    assert summary.made == len(NAMES) + 5
    assert run(videos, videos.parent / "root").made == 0
    return videos.parent / "root"


def test_every_name_becomes_a_clip_that_can_be_read(root: Path) -> None:
    prepared = Prepared(str(root))
    assert len(prepared.classes) == len(CLASSES)
    clips = 0
    for split in SPLITS:
        for row in (root / f"{split}.csv").read_text("utf-8").splitlines():
            assert row.isprintable() or "\u200d" in row or "\u202e" in row
        loader = make_loader(
            prepared.clips(split),
            EpochSampler(len(prepared.entries[split]), shuffle=False),
            batch_size=99,
            workers=0,
        )
        (loaded,) = loader
        assert loaded.skipped == ()
        clips += len(loaded.batch.key)
    assert clips == len(NAMES) + 5
    assert prepared.fingerprint() == Prepared(str(root)).fingerprint()


def test_the_manifest_has_one_line_a_video_and_each_video_once(root: Path) -> None:
    lines = (root / "manifest.csv").read_text("utf-8").split("\n")
    assert len(lines) == len(NAMES) + 5 + 2  # the header, and the end of the last line
    rows = list(csv.DictReader(lines))
    assert len({row["source"] for row in rows}) == len(NAMES) + 5
    assert len({collision_key(f"{row['class']}/{row['stem']}") for row in rows}) == len(NAMES) + 5
    names = {path.name for path in root.iterdir()}
    assert names == {
        "audio",
        "frames",
        "manifest.csv",
        "prepare.json",
        *(f"{s}.csv" for s in SPLITS),
    }


def test_hostile_names_are_trained_on_and_reported(root: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    completed = run_script(*attack(root, runs, "attack=fgsm", "training.epochs=1"), cwd=tmp_path)
    assert completed.returncode == 0, completed.stderr
    assert main(["report", "--runs", str(runs)]) == 0
    (page,) = runs.glob("report/*.html")
    assert "\r" not in page.read_text("utf-8")


def test_hostile_names_come_through_a_hostile_root(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    folder = os.fsencode(tmp_path) + b"/\xff"
    try:
        _write(folder + b"/videos/a", [b"\xff.mp4", b"plain.mp4"], clip)
    except OSError:
        pytest.skip("this file system refuses such names")
    monkeypatch.chdir(os.fsdecode(folder))
    summary = run(Path("videos"), Path(os.fsdecode(folder + b"/root")))
    assert (summary.made, summary.reasons) == (2, {})
    assert not list(temporary.glob("avrobust-*"))


def test_ordinary_names_are_kept() -> None:
    for name in ("a b", "Flöte", "笛", "100%", "my%20video", "x.y.z", "-", "a\u200db"):
        assert (printable(name), safe_name(name)) == (name, name)


def test_escaped_names_stay_different_and_short() -> None:
    names = [os.fsdecode(name) for name in NAMES] + [r"a\rb.mp4", r"\udcff\udcfe.mp4", "a%rb.mp4"]
    assert len({printable(name) for name in names}) == len(names)
    for name in names:
        assert len((safe_name(name, ".mp4") + ".mp4").encode()) <= LONGEST


@pytest.mark.parametrize(
    ("first", "second"),
    [("Flute", "flute"), ("fl\u00fcte", unicodedata.normalize("NFD", "fl\u00fcte"))],
)
def test_classes_that_differ_in_case_or_composition_are_refused(
    tmp_path: Path, clip: Path, first: str, second: str
) -> None:
    for label in (first, second):
        (tmp_path / "videos" / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, tmp_path / "videos" / label / "a.mp4")
    if len(list((tmp_path / "videos").iterdir())) < 2:
        pytest.skip("this file system takes them for one")
    with pytest.raises(UserError, match="would share a folder"):
        find_videos(tmp_path / "videos")


def test_a_label_of_any_text_names_a_class(tmp_path: Path, clip: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    labels = ["a\rb", "=c\nd"]
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(("path", "label"))
        for label in labels:
            shutil.copy(clip, videos / f"{label}.mp4")
            writer.writerow((f"{label}.mp4", label))
    run(videos, tmp_path / "root", labels=tmp_path / "labels.csv")
    assert {entry.key for entry in entries(tmp_path / "root")} == {"a%rb/a%rb", "=c%nd/=c%nd"}


def test_random_bytes_are_told_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = os.fsencode(tmp_path) + b"/videos/a"
    os.makedirs(folder)  # noqa: PTH103
    names = set()
    while len(names) < 300:
        name = rng.choice([0x0A, 0x0D, 0x22, 0x25, 0x2C, 0x41, 0x5C, 0x61, 0x72, 0xFF], 4)
        names.add(bytes(name.astype(np.uint8)))
    for name in names:
        (Path(os.fsdecode(folder)) / os.fsdecode(name)).touch()
    sources = find_videos(tmp_path / "videos")
    assert len({source.name for source in sources}) == 300
    assert len({collision_key(source.stem) for source in sources}) == 300
    assert {os.fsencode(source.path.name) for source in sources} == names
