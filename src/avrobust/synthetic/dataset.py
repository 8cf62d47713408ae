"""The synthetic data set: generated on first use, then prepared like any folder of videos."""

import json
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from avrobust.data.layout import Split
from avrobust.data.prepared import Prepared
from avrobust.errors import UserError
from avrobust.synthetic.difficulty import SCENES, Scene
from avrobust.synthetic.settings import Settings
from avrobust.utils.console import progress_bar
from avrobust.utils.files import atomic_write


def synthetic(
    root: str,
    train: int = 312,
    val: int = 104,
    test: int = 104,
    generation_seed: int = 0,
    image_size: int = 224,
    audio_samples: int = 65_535,
    frames: int = 1,
    stride: int = 8,
    scene: Scene = "close",
) -> Prepared:
    """Eleven drawn and synthesized instruments, in numbers like those of the MUSIC data set.

    On first use the films are generated in `<root>/videos` and prepared in `root`.

    Args:
        root: Folder of the data set.
        train: Number of training clips.
        val: Number of validation clips.
        test: Number of test clips.
        generation_seed: Seed of the films, independent of the seed of a training.
        image_size: Width and height of a sample's frames in pixels.
        audio_samples: Number of audio samples in a sample, at 11,025 Hz.
        frames: Number of frames in a sample.
        stride: From one frame of a sample to the next, in eighths of a second.
        scene: "close", or "stage": the instruments are smaller and off the center, and a silent
            instrument is beside the sounding one.

    Raises:
        UserError: `root` holds a data set that was generated with other settings, or cannot be
            written.
    """
    folder = Path(root)
    clips: dict[Split, int] = {"train": train, "val": val, "test": test}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The jobs of a sweep start together: one of them generates, the others wait.
        with FileLock(folder / ".lock"):
            _generate_if_missing(folder, clips, generation_seed, scene)
    except OSError as error:
        raise UserError(
            f"{error.filename or folder}: {error.strerror}; fix this and run the same command again"
        ) from error
    return Prepared(
        root, image_size=image_size, audio_samples=audio_samples, frames=frames, stride=stride
    )


def _generate_if_missing(folder: Path, clips: dict[Split, int], seed: int, scene: Scene) -> None:
    """Generates and prepares the data set.

    The file of settings is written last. If it exists, the data set is complete.
    """
    settings_file = folder / "synthetic.json"
    # Plain values, no names of classes: the file is a part of the fingerprint of the data, which a
    # renamed class must not change.
    films = asdict(Settings(seed, difficulty=SCENES[scene]))
    settings = json.dumps({"clips": clips, "films": films}, indent=2) + "\n"
    if settings_file.is_file():
        if settings_file.read_text(encoding="utf-8") != settings:
            raise UserError(
                f"dataset.root={folder}: was generated with other settings or by another version "
                f"({settings_file.name} tells); choose another dataset.root or delete that folder"
            )
        return
    # Imported late: a data set that is already generated needs no decoder and no drawing.
    from avrobust.preparation.prepare import prepare
    from avrobust.synthetic.generate import generate

    videos = folder / "videos"
    with progress_bar() as bar:
        generate(videos, clips=clips, seed=seed, scene=scene, progress=bar)
        prepare(videos, folder, labels=videos / "labels.csv", progress=bar)
    with atomic_write(settings_file) as temporary:
        temporary.write_text(settings, encoding="utf-8")
