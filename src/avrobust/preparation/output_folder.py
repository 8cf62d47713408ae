"""Locks the folder of a prepared data set for one run, and checks that the run may write there."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from avrobust.data.layout import FRAME_RATE, SAMPLE_RATE, SPLITS
from avrobust.errors import UserError
from avrobust.preparation.extract import JPEG_QUALITY
from avrobust.utils.files import atomic_write, remove_leftovers

# To be raised when new clips no longer fit to the clips that earlier versions have prepared.
LAYOUT_VERSION = 1


@contextmanager
def locked_output_folder(root: Path, short_side: int) -> Iterator[Path]:
    """Yields a path for unfinished clips, on the disk of the root. It is removed at the end.

    Args:
        root: Folder of the prepared data set; created if it does not exist.
        short_side: Longest shorter side of a frame, in pixels.

    Raises:
        UserError: The root holds other files, was prepared with other settings, is used by another
            run, or cannot be written.
    """
    work_folder = root / ".prepare"
    settings = {
        "layout": LAYOUT_VERSION,
        "frame_rate": FRAME_RATE,
        "sample_rate": SAMPLE_RATE,
        "jpeg_quality": JPEG_QUALITY,
        "short_side": short_side,
    }
    try:
        _check_or_write_settings(root, settings)
        work_folder.mkdir(exist_ok=True)
        with FileLock(work_folder / "lock", timeout=0):
            # A killed run may have left clips here.
            shutil.rmtree(work_folder / "clips", ignore_errors=True)
            remove_leftovers(root)
            try:
                yield work_folder / "clips"
            finally:
                shutil.rmtree(work_folder, ignore_errors=True)
    except Timeout:
        raise UserError(
            f"{root}: another `avrobust prepare` is at work here; wait for it or end it"
        ) from None
    except OSError as error:
        raise UserError(
            f"{error.filename or root}: {error.strerror}; fix this and run the same command again"
        ) from error


def _check_or_write_settings(root: Path, settings: dict[str, int]) -> None:
    path = root / "prepare.json"
    if path.exists():
        _check_settings(path, settings)
        return
    for name in ("audio", "frames", *(f"{split}.csv" for split in SPLITS)):
        if (root / name).exists():
            raise UserError(
                f"{root}: holds {name!r} that `avrobust prepare` did not make; "
                "choose another folder"
            )
    root.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _check_settings(path: Path, settings: dict[str, int]) -> None:
    try:
        earlier = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise UserError(
            f"{path}: damaged; remove it only together with the clips beside it"
        ) from None
    for key, value in settings.items():
        if earlier.get(key) != value:
            raise UserError(
                f"{path.parent}: was prepared with {key} {earlier.get(key)}, not {value}; "
                "choose another folder"
            )
