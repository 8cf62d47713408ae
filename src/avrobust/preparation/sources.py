"""Finds the raw videos, in class folders or by a labels file, and gives each clip a unique name."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from avrobust.data.layout import SPLITS, Split
from avrobust.errors import UserError
from avrobust.preparation.splits import LabelsRow


class SourceVideo(NamedTuple):
    """One clip to extract."""

    name: str  # path of the video relative to the folder of videos, with "/"
    label: str
    stem: str  # unique in its class
    splits: tuple[Split, ...]  # () if they are still to be drawn; a labels file may give several
    problem: str = ""  # reason why the clip cannot be extracted, if it is known beforehand

    @property
    def key(self) -> tuple[str, str]:
        """Video and class, unique in the data set."""
        return self.name, self.label


class _UnnamedClip(NamedTuple):
    """A clip without a stem."""

    path: PurePosixPath  # of the video, relative to the folder of videos
    label: str
    splits: tuple[Split, ...] = ()


def find_videos(videos: Path) -> list[SourceVideo]:
    """Finds all files in class folders, except hidden ones.

    Raises:
        UserError: There is no such folder, or no file in a class folder.
    """
    if not videos.is_dir():
        raise UserError(f"{videos}: no such folder of videos")
    clips = []
    for folder in _visible(videos):
        if not folder.is_dir():
            continue
        for file in _visible(folder):
            if not file.is_dir():
                path = PurePosixPath(file.relative_to(videos))
                clips.append(_UnnamedClip(path, folder.name))
    if not clips:
        raise UserError(
            f"{videos}: no clips; expected {videos}/<class>/<clip>, or name the clips by --labels"
        )
    return _name_clips(clips)


def find_labeled_videos(videos: Path, rows: Iterable[LabelsRow]) -> list[SourceVideo]:
    """Finds the files that a labels file names.

    If a file is named twice with one label, it is one clip, which may be in two splits.

    Raises:
        UserError: There is no such folder, or a label cannot be the name of a folder.
    """
    if not videos.is_dir():
        raise UserError(f"{videos}: no such folder of videos")
    splits_by_clip: dict[tuple[PurePosixPath, str], set[Split]] = defaultdict(set)
    for row in rows:
        if row.label in ("", ".", "..") or "/" in row.label or "\0" in row.label:
            raise UserError(
                f"{row.path}: {row.label!r} cannot be a class: it must be able to name a folder"
            )
        splits = splits_by_clip[row.path, row.label]
        if row.split is not None:
            splits.add(row.split)
    clips = []
    for (path, label), splits in splits_by_clip.items():
        in_order = tuple(split for split in SPLITS if split in splits)
        clips.append(_UnnamedClip(path, label, in_order))
    sources = []
    for source in _name_clips(clips):
        if not source.problem and not (videos / source.name).is_file():
            source = source._replace(problem="no such file")
        sources.append(source)
    return sources


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _name_clips(clips: list[_UnnamedClip]) -> list[SourceVideo]:
    """Gives every clip a stem that is unique in its class.

    The stem is that of the file. If there are several such files (a.mp4 and a.webm), all but the
    first get a number.
    """
    ordered = sorted(clips, key=lambda clip: (clip.label, str(clip.path)))
    file_stems = {(clip.label, clip.path.stem) for clip in ordered}
    used: set[tuple[str, str]] = set()
    sources = []
    for clip in ordered:
        stem, number = clip.path.stem, 1
        # A stem with a number must not be the stem of another file.
        while (clip.label, stem) in (used if number == 1 else used | file_stems):
            number += 1
            stem = f"{clip.path.stem}_{number}"
        used.add((clip.label, stem))
        sources.append(_make_source(str(clip.path), clip.label, stem, clip.splits))
    return sources


def _make_source(name: str, label: str, stem: str, splits: tuple[Split, ...]) -> SourceVideo:
    names = (_to_utf8(name), _to_utf8(label), _to_utf8(stem))
    problem = "" if names == (name, label, stem) else "a name that is not UTF-8"
    return SourceVideo(*names, splits, problem)


def _to_utf8(name: str) -> str:
    """Replaces bytes of a file name that are not UTF-8 by backslash escapes."""
    return name.encode("utf-8", "backslashreplace").decode()
