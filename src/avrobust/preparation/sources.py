"""Finds the raw videos, in class folders or by a labels file, and gives each clip a unique name."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from avrobust.data.layout import SPLITS, Split
from avrobust.errors import UserError
from avrobust.preparation.names import collision_key, printable, safe_name
from avrobust.preparation.splits import LabelsRow

ENDING = ".mp4"  # of the longer of a clip's two names


class SourceVideo(NamedTuple):
    """One clip to extract."""

    path: PurePosixPath  # of the video, relative to the folder of videos
    label: str  # can name a folder and be printed, as the stem
    stem: str  # unique in its class
    splits: tuple[Split, ...]  # () if they are still to be drawn; a labels file may give several
    problem: str = ""  # reason why the clip cannot be extracted, if it is known beforehand

    @property
    def name(self) -> str:
        """The path in one line of UTF-8."""
        return printable(str(self.path))

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
        UserError: There is no such folder, no file in a class folder, or two class folders differ
            only in case or in Unicode's composition.
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
        UserError: There is no such folder, a label cannot be the name of a folder, or two labels
            differ only in case or in Unicode's composition.
    """
    if not videos.is_dir():
        raise UserError(f"{videos}: no such folder of videos")
    splits_by_clip: dict[tuple[PurePosixPath, str], set[Split]] = defaultdict(set)
    for row in rows:
        if row.label in ("", ".", "..") or "/" in row.label or "\0" in row.label:
            raise UserError(
                f"{printable(str(row.path))}: {row.label!r} cannot be a class: "
                "it must be able to name a folder"
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
        if not source.problem and not _is_file(videos / source.path):
            source = source._replace(problem="no such file")
        sources.append(source)
    return sources


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # A folder that may not be entered, or a name that is too long.
        return False


def _name_clips(clips: list[_UnnamedClip]) -> list[SourceVideo]:
    """Gives every clip a stem that is unique in its class, whatever the file system.

    The stem is that of the file, if it can be printed and is short enough. If there are several
    such files (a.mp4 and a.webm, A.mp4 and a.mp4), all but the first get a number.
    """
    labels = _safe_labels(clip.label for clip in clips)
    ordered = sorted(clips, key=lambda clip: (labels[clip.label], str(clip.path)))
    # A stem with a number must not be the stem of another file.
    taken = {_stem_key(labels[clip.label], clip.path.stem) for clip in ordered}
    last_numbers: dict[tuple[str, str], int] = {}
    sources = []
    for clip in ordered:
        label, stem = labels[clip.label], clip.path.stem
        file_stem = _stem_key(label, stem)
        number = last_numbers.get(file_stem, 0) + 1
        if number > 1:
            while _stem_key(label, f"{stem}_{number}") in taken:
                number += 1
            stem = f"{stem}_{number}"
            taken.add(_stem_key(label, stem))
        last_numbers[file_stem] = number
        sources.append(SourceVideo(clip.path, label, safe_name(stem, ENDING), clip.splits))
    return sources


def _stem_key(label: str, stem: str) -> tuple[str, str]:
    """Equal for clips that could not be told apart in the prepared layout."""
    return label, collision_key(safe_name(stem, ENDING))


def _safe_labels(labels: Iterable[str]) -> dict[str, str]:
    """The name of each class's folder, by the label as it was found.

    Raises:
        UserError: Two labels would share a folder on some file systems.
    """
    safe_labels: dict[str, str] = {}
    label_by_folder: dict[str, str] = {}
    for label in sorted(set(labels)):
        safe_labels[label] = safe_name(label)
        other = label_by_folder.setdefault(collision_key(safe_labels[label]), label)
        if other != label:
            raise UserError(
                f"the classes {other!a} and {label!a} would share a folder where file "
                "systems ignore case or Unicode's composition; rename one of them"
            )
    return safe_labels
