"""The synthetic data set: generated on first use, then prepared like any folder of videos."""

import json
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from avrobust.data.layout import Split
from avrobust.data.prepared import Prepared
from avrobust.errors import UserError
from avrobust.ranges import PositiveInt, Seed, TwoOrMore
from avrobust.synthetic.difficulty import SCENES, Scene
from avrobust.synthetic.settings import Settings
from avrobust.utils.arguments import checks_arguments
from avrobust.utils.console import progress_bar
from avrobust.utils.files import atomic_write, remove_leftovers

SETTINGS_FILE = "synthetic.json"


@checks_arguments
def synthetic(
    root: str,
    train: TwoOrMore = 312,
    val: PositiveInt = 104,
    test: PositiveInt = 104,
    generation_seed: Seed = 0,
    image_size: PositiveInt = 224,
    audio_samples: PositiveInt = 65_535,
    frames: PositiveInt = 1,
    stride: PositiveInt = 8,
    scene: Scene = "close",
    generate: bool = True,
) -> Prepared:
    """Eleven drawn and synthesized instruments, in numbers like those of the MUSIC data set.

    On first use the films are generated in `<root>/videos` and prepared in `root`.

    Args:
        root: Folder of the data set.
        train: Number of training clips; at least 2.
        val: Number of validation clips.
        test: Number of test clips.
        generation_seed: Seed of the films, independent of the seed of a training.
        image_size: Width and height of a sample's frames in pixels.
        audio_samples: Number of audio samples in a sample, at 11,025 Hz.
        frames: Number of frames in a sample.
        stride: From one frame of a sample to the next, in eighths of a second.
        scene: "close", or "stage": the instruments are smaller and off the center, and a silent
            instrument is beside the sounding one.
        generate: False: refuse where there is no data set, and write nothing.

    Raises:
        ValueError: A number is out of range.
        UserError: `root` holds a data set that was generated with other settings, or none and it
            is not to be generated, or cannot be written.
    """
    folder = Path(root)
    clips: dict[Split, int] = {"train": train, "val": val, "test": test}
    if not _is_generated(folder, clips, generation_seed, scene):
        if not generate:
            raise UserError(
                f"dataset.root={root}: no synthetic data set; the command that made the run "
                "generates it again"
            )
        try:
            _generate_locked(folder, clips, generation_seed, scene)
        except OSError as error:
            raise UserError(
                f"{error.filename or folder}: {error.strerror}; fix this and run the same "
                "command again"
            ) from error
    return Prepared(
        root, image_size=image_size, audio_samples=audio_samples, frames=frames, stride=stride
    )


def _generate_locked(
    folder: Path, clips: dict[Split, int], generation_seed: int, scene: Scene
) -> None:
    """Generates the data set. The jobs of a sweep start together: one of them does, others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not _is_generated(folder, clips, generation_seed, scene):
            _generate(folder, clips, generation_seed, scene)


def _is_generated(folder: Path, clips: dict[Split, int], seed: int, scene: Scene) -> bool:
    """Whether the data set is there. The file of settings is written last, so that it tells.

    Raises:
        UserError: it was generated with other settings.
    """
    settings_file = folder / SETTINGS_FILE
    if not settings_file.is_file():
        return False
    if settings_file.read_text(encoding="utf-8") != _settings(clips, seed, scene):
        raise UserError(
            f"dataset.root={folder}: was generated with other settings or by another version "
            f"({settings_file.name} tells); choose another dataset.root or delete that folder"
        )
    return True


def _settings(clips: dict[Split, int], seed: int, scene: Scene) -> str:
    """What the data set is generated from.

    Plain values, no names of classes: the file is a part of the fingerprint of the data, which a
    renamed class must not change.
    """
    films = asdict(Settings(seed, difficulty=SCENES[scene]))
    return json.dumps({"clips": clips, "films": films}, indent=2) + "\n"


def _generate(folder: Path, clips: dict[Split, int], seed: int, scene: Scene) -> None:
    """Generates and prepares the data set."""
    # Imported late: a data set that is already generated needs no decoder and no drawing.
    from avrobust.preparation.prepare import prepare
    from avrobust.synthetic.generate import generate

    for started in (folder, *folder.rglob("*/")):  # by a run that was killed
        remove_leftovers(started)
    videos = folder / "videos"
    with progress_bar() as bar:
        generate(videos, clips=clips, seed=seed, scene=scene, progress=bar)
        prepare(videos, folder, labels=videos / "labels.csv", progress=bar)
    with atomic_write(folder / SETTINGS_FILE) as temporary:
        temporary.write_text(_settings(clips, seed, scene), encoding="utf-8")
