import shutil
from pathlib import Path

import pytest

from tests.data.videos import write_video


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of video, copied about by the tests."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture
def videos(tmp_path: Path, clip: Path) -> Path:
    """Two classes of five clips."""
    folder = tmp_path / "videos"
    for label in ("flute", "tuba"):
        (folder / label).mkdir(parents=True)
        for i in range(5):
            shutil.copy(clip, folder / label / f"{i}.mp4")
    return folder
