"""The embedded data set: generated on first use, then prepared like any folder of videos."""

import json
from pathlib import Path

from filelock import FileLock

from avrobust.data.layout import Split
from avrobust.data.prepared import Prepared
from avrobust.errors import UserError
from avrobust.synthetic.difficulty import SCENES, Scene
from avrobust.synthetic.settings import Settings
from avrobust.utils.console import progress_bar
from avrobust.utils.files import whole


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
    """Eleven drawn and synthesized instruments in MUSIC's shape: mp4 files in `root/videos`, prepared in `root`.

    Args:
        root: folder of the data set; made on first use.
        train: clips of that split, as `val` and `test`.
        val: see `train`.
        test: see `train`.
        generation_seed: of the films; has nothing to do with the seed of a training.
        image_size: of a sample, see `Prepared`; as the rest.
        audio_samples: see `Prepared`.
        frames: see `Prepared`.
        stride: see `Prepared`.
        scene: "close", or "stage": smaller, off the middle, and with a silent instrument beside the
            sounding one.

    Raises:
        UserError: `root` holds a data set that was generated with other settings.
    """
    folder = Path(root)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):  # jobs of a sweep start together; one generates
        _ensure(folder, {"train": train, "val": val, "test": test}, generation_seed, scene)
    return Prepared(
        root, image_size=image_size, audio_samples=audio_samples, frames=frames, stride=stride
    )


def _ensure(folder: Path, clips: dict[Split, int], seed: int, scene: Scene) -> None:
    """Generates and prepares what is missing; the file of settings is written last and says that all is there."""
    done = folder / "synthetic.json"
    settings = (
        json.dumps({"clips": clips, "films": repr(Settings(seed, difficulty=SCENES[scene]))}) + "\n"
    )
    if done.is_file():
        if done.read_text(encoding="utf-8") != settings:
            raise UserError(
                f"dataset.root={folder}: was generated with other settings or by another version ({done.name} tells); "
                "choose another dataset.root or delete that folder"
            )
        return
    from avrobust.preparation.prepare import (
        prepare,
    )  # with what decodes and draws, which a generated set does not need
    from avrobust.synthetic.generate import generate

    videos = folder / "videos"
    with progress_bar() as bar:
        generate(videos, clips=clips, seed=seed, scene=scene, progress=bar)
        prepare(videos, folder, labels=videos / "labels.csv", progress=bar)
    with whole(done) as aside:
        aside.write_text(settings, encoding="utf-8")
