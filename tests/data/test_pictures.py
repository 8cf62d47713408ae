"""Frames as they are read against the whole frame, decoded, resized and then cropped."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from avrobust.data.clips import read_frame
from avrobust.data.sampling import Augmentation

CROPS = (
    None,
    Augmentation(1, 0.0, 0.0, flip=False, volume=1),
    Augmentation(1, 1.0, 1.0, flip=True, volume=1),
    Augmentation(1, 0.3, 0.7, flip=True, volume=1),
)


def photo(size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(load_sample_image("china.jpg")).resize(size, Image.Resampling.LANCZOS)


def plain(path: Path, size: int, choice: Augmentation | None) -> np.ndarray:
    """Levels of 255, (3, size, size)."""
    with Image.open(path) as file:
        picture = file.convert("RGB")
    short = int(size * 1.1) if choice else size
    scale = short / min(picture.size)
    width, height = (max(short, round(side * scale)) for side in picture.size)
    top, left = (choice.top, choice.left) if choice else (0.5, 0.5)
    x, y = round((width - size) * left), round((height - size) * top)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC).crop(
        (x, y, x + size, y + size)
    )
    if choice and choice.flip:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(picture).transpose(2, 0, 1).astype(float)


def differences(path: Path, size: int, choice: Augmentation | None) -> np.ndarray:
    """In levels of 255."""
    return np.abs(255 * read_frame(path, size, choice).double().numpy() - plain(path, size, choice))


@pytest.mark.parametrize("choice", CROPS)
@pytest.mark.parametrize(
    ("stored", "size"),
    [((455, 256), 224), ((112, 112), 64), ((639, 427), 201), ((341, 257), 160), ((52, 40), 64)],
)
def test_a_crop_is_that_of_the_whole_frame(
    tmp_path: Path, stored: tuple[int, int], size: int, choice: Augmentation | None
) -> None:
    photo(stored).save(tmp_path / "a.jpg", quality=92)
    errors = differences(tmp_path / "a.jpg", size, choice)
    assert errors.max() < 1.001
    assert (errors > 0.5).mean() < 0.02  # one level, where single precision tips the rounding


@pytest.mark.parametrize("choice", CROPS)
@pytest.mark.parametrize(
    ("stored", "size"), [((256, 455), 224), ((182, 281), 137), ((92, 237), 58)]
)
def test_a_tall_frame_may_round_the_other_way(
    tmp_path: Path, stored: tuple[int, int], size: int, choice: Augmentation | None
) -> None:
    photo(stored).save(tmp_path / "a.png")
    errors = differences(tmp_path / "a.png", size, choice)
    assert errors.mean() < 0.3
    assert (errors > 1.5).mean() < 0.005


@pytest.mark.parametrize("choice", CROPS)
@pytest.mark.parametrize(
    ("stored", "size"), [((1280, 720), 112), ((1279, 719), 64), ((455, 256), 64), ((640, 427), 64)]
)
def test_a_large_jpeg_is_decoded_smaller_and_hardly_differs(
    tmp_path: Path, stored: tuple[int, int], size: int, choice: Augmentation | None
) -> None:
    photo(stored).save(tmp_path / "a.jpg", quality=92)
    errors = differences(tmp_path / "a.jpg", size, choice)
    assert errors.mean() < 1
    assert errors.max() < 32


def test_how_large_a_jpeg_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    resize = Image.Image.resize

    def noting(self: Image.Image, *rest: object) -> Image.Image:
        decoded.append(self.size)
        return resize(self, *rest)

    photo((1279, 720)).save(tmp_path / "a.jpg")
    photo((1279, 720)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image.Image, "resize", noting)
    for size in (361, 360, 181, 180, 90, 45, 44):
        read_frame(tmp_path / "a.jpg", size, None)
    read_frame(tmp_path / "a.png", 45, None)
    assert decoded == [(1279, 720)] * 2 + [
        (1279, 720),
        (640, 360),
        (320, 180),
        (160, 90),
        (160, 90),
        (1279, 720),
    ]


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P"])
def test_other_kinds_of_pictures_are_read_as_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode in ("L", "CMYK") else "a.png")
    photo((90, 60)).convert(mode).save(path)
    assert differences(path, 48, None).max() < 1.001
