"""Finds the raw videos, in class folders or named by a labels CSV, and gives each its place in the layout."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from avrobust.data.layout import SPLITS, Split
from avrobust.errors import UserError
from avrobust.preparation.splits import Named


class Source(NamedTuple):
    """One clip to be made."""

    name: str  # the video's path relative to the folder of videos, with "/"
    label: str
    stem: str  # unique in its class
    splits: tuple[
        Split, ...
    ]  # () if they are still to be drawn; more than one if a labels CSV says so
    problem: str = ""  # why it cannot even be tried

    @property
    def key(self) -> tuple[str, str]:
        """What no other clip of the data set has: the video and the class."""
        return self.name, self.label


def walk(videos: Path) -> list[Source]:
    """Every file of every class folder, hidden ones left out.

    Raises:
        UserError: there is no such folder, or there are no files in class folders.
    """
    if not videos.is_dir():
        raise UserError(f"{videos}: no such folder of videos")
    folders = [folder for folder in _visible(videos) if folder.is_dir()]
    files = [
        file.relative_to(videos)
        for folder in folders
        for file in _visible(folder)
        if not file.is_dir()
    ]
    if not files:
        raise UserError(
            f"{videos}: no clips; expected {videos}/<class>/<clip>, or name the clips by --labels"
        )
    return _sources((PurePosixPath(file), file.parts[0], ()) for file in files)


def named(videos: Path, rows: Iterable[Named]) -> list[Source]:
    """The files that a labels CSV names; a clip named twice with one label is one clip, perhaps in two splits.

    Raises:
        UserError: there is no such folder, or a label cannot name a folder.
    """
    if not videos.is_dir():
        raise UserError(f"{videos}: no such folder of videos")
    splits: dict[tuple[PurePosixPath, str], set[Split]] = defaultdict(set)
    for row in rows:
        if row.label in ("", ".", "..") or "/" in row.label or "\0" in row.label:
            raise UserError(
                f"{row.path}: {row.label!r} cannot be a class: it must be able to name a folder"
            )
        splits[row.path, row.label].update([] if row.split is None else [row.split])
    sources = _sources(
        (path, label, tuple(s for s in SPLITS if s in found))
        for (path, label), found in splits.items()
    )
    return [
        s if s.problem or (videos / s.name).is_file() else s._replace(problem="no such file")
        for s in sources
    ]


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _sources(clips: Iterable[tuple[PurePosixPath, str, tuple[Split, ...]]]) -> list[Source]:
    """Gives every clip a stem of its own: a file's stem, else (a.mp4 and a.webm) the stem with a number."""
    ordered = sorted(clips, key=lambda clip: (clip[1], str(clip[0])))
    taken = {(label, path.stem) for path, label, _ in ordered}
    used: set[tuple[str, str]] = set()
    sources = []
    for path, label, splits in ordered:
        stem, number = path.stem, 1
        while (label, stem) in (used if number == 1 else used | taken):
            number += 1
            stem = f"{path.stem}_{number}"
        used.add((label, stem))
        sources.append(_source(str(path), label, stem, splits))
    return sources


def _source(name: str, label: str, stem: str, splits: tuple[Split, ...]) -> Source:
    plain = Source(_plain(name), _plain(label), _plain(stem), splits)
    return (
        plain
        if plain[:3] == (name, label, stem)
        else plain._replace(problem="a name that is not UTF-8")
    )


def _plain(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
