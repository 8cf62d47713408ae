"""Holds the folder of a prepared data set for one run, after making sure that it is fit to be written."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from avrobust.data.layout import FRAME_RATE, SAMPLE_RATE, SPLITS
from avrobust.errors import UserError
from avrobust.preparation.extract import JPEG_QUALITY

LAYOUT = 1  # goes up when clips prepared before can no longer stand beside new ones


@contextmanager
def claimed(root: Path, short_side: int) -> Iterator[Path]:
    """Yields an empty folder for half-made clips, on the root's disk; it is gone afterwards.

    Raises:
        UserError: the root holds something else or was prepared with other settings, another run
            has it, or it cannot be written.
    """
    aside = root / ".prepare"
    settings = {
        "layout": LAYOUT,
        "frame_rate": FRAME_RATE,
        "sample_rate": SAMPLE_RATE,
        "jpeg_quality": JPEG_QUALITY,
    }
    try:
        _claim(root, {**settings, "short_side": short_side})
        aside.mkdir(exist_ok=True)
        with FileLock(aside / "lock", timeout=0):
            shutil.rmtree(aside / "clips", ignore_errors=True)
            try:
                yield aside / "clips"
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    except Timeout:
        raise UserError(
            f"{root}: another `avrobust prepare` is at work here; wait for it or end it"
        ) from None
    except OSError as error:
        raise UserError(
            f"{error.filename or root}: {error.strerror}; mend that and run the same again"
        ) from error


def _claim(root: Path, settings: dict[str, int]) -> None:
    path = root / "prepare.json"
    if path.exists():
        _compare(path, settings)
        return
    names = ["audio", "frames", *(f"{split}.csv" for split in SPLITS)]
    if foreign := [name for name in names if (root / name).exists()]:
        raise UserError(
            f"{root}: holds {foreign[0]!r} that `avrobust prepare` did not make; choose another folder"
        )
    root.mkdir(parents=True, exist_ok=True)
    aside = root / ".prepare.json"
    aside.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    aside.replace(path)


def _compare(path: Path, settings: dict[str, int]) -> None:
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise UserError(
            f"{path}: damaged; remove it only together with the clips beside it"
        ) from None
    for key, value in settings.items():
        if found.get(key) != value:
            raise UserError(
                f"{path.parent}: was prepared with {key} {found.get(key)}, not {value}; choose another folder"
            )
