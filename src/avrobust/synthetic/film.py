"""Draws a film: an instrument that is played in front of a background, filmed by a camera."""

from collections.abc import Iterator
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from avrobust.synthetic import exact, scene
from avrobust.synthetic.difficulty import Difficulty
from avrobust.synthetic.exact import Floats
from avrobust.synthetic.others import OTHERS
from avrobust.synthetic.parts import Instrument
from avrobust.synthetic.plan import CLASSES
from avrobust.synthetic.score import Motion
from avrobust.synthetic.sprite import (
    Appearance,
    Cutout,
    Matrix,
    Sprite,
    inverse,
    scale,
    shift,
    turn,
)
from avrobust.synthetic.strings import STRINGS
from avrobust.synthetic.winds import WINDS

INSTRUMENTS: dict[str, Instrument] = {**STRINGS, **WINDS, **OTHERS}

# Maps the opacity of a pixel to 255 if the pixel counts as a part of the instrument, else to 0.
_OPAQUE = [255 * (alpha > 64) for alpha in range(256)]

BoxEdges = tuple[float, float, float, float]  # x0, y0, x1, y1 as fractions of width and height


class FilmFrame(NamedTuple):
    """One frame of a film."""

    pixels: NDArray[np.uint8]  # (H, W, 3) RGB
    box: BoxEdges  # bounding box of the sounding instrument


class _PlacedInstrument(NamedTuple):
    """An instrument placed in the scene."""

    instrument: Instrument
    sprites: list[Cutout]  # one for each part of the instrument
    pose: Matrix  # maps instrument units to pixels of the frame
    unit: float  # length of one instrument unit in pixels


def draw_film(
    label: str, motion: Motion, rng: np.random.Generator, size: int, difficulty: Difficulty
) -> Iterator[FilmFrame]:
    """Draws the frames of one clip.

    Args:
        label: Class of the instrument.
        motion: Motion of the player at each frame.
        rng: Source of randomness.
        size: Width and height of the frames in pixels.
        difficulty: Ranges from which the conditions are drawn.
    """
    frames = len(motion.sway)
    look = scene.random_look(INSTRUMENTS[label].palette, rng)
    blur = rng.uniform(*difficulty.blur) * size / 112
    source = _place_instrument(label, look, rng, size, difficulty, blur)
    background = _draw_background(label, source, look, rng, size, difficulty)
    margin = scene.scene_margin(size)
    camera = _Camera(rng, size, difficulty)
    occluder, occluder_pose = _draw_occluder(source, rng, difficulty)
    rocking = _slow_sine(frames, rng, 0.5)
    for frame, view in enumerate(_camera_views(frames, rng, size, difficulty)):
        pose = view @ source.pose @ turn(rocking[frame])
        layer = _draw_instrument(source, motion, frame, pose, size)
        box = _bounding_box(layer)
        if occluder is not None:
            occluder.put(layer, view @ occluder_pose)
        # The background reaches beyond the frame on all sides by the margin.
        to_background = inverse(view @ shift(-margin, -margin))
        picture = background.transform(
            (size, size), Image.Transform.AFFINE, to_background, Image.Resampling.BILINEAR
        )
        picture.paste(layer, mask=layer.getchannel("A"))
        yield FilmFrame(camera.take(picture), box)


def _place_instrument(
    label: str,
    look: Appearance,
    rng: np.random.Generator,
    size: int,
    difficulty: Difficulty,
    blur: float,
    relative_size: float = 1.0,
) -> _PlacedInstrument:
    instrument = INSTRUMENTS[label]
    unit = relative_size * instrument.reach * rng.uniform(*difficulty.scale) * size / 2
    light = rng.uniform(0, 2 * np.pi)
    sprites = []
    for part in instrument.parts:
        sprite = Sprite(unit)
        part.draw(sprite, look)
        sprites.append(sprite.finish(light, blur))
    center = size * np.clip(0.5 + difficulty.shift * rng.normal(size=2), 0.25, 0.75)
    angle = instrument.angle + difficulty.turn * instrument.spread * rng.normal()
    mirror = scale(float(rng.choice((-1, 1))), 1)
    pose = shift(*center.tolist()) @ mirror @ scale(unit) @ turn(angle)
    return _PlacedInstrument(instrument, sprites, pose, unit)


def _draw_background(
    label: str,
    source: _PlacedInstrument,
    look: Appearance,
    rng: np.random.Generator,
    size: int,
    difficulty: Difficulty,
) -> Image.Image:
    """The background with everything in it that does not move."""
    background = scene.background(size, rng, difficulty)
    margin = scene.scene_margin(size)
    if rng.random() < difficulty.bystander_chance:
        other = str(rng.choice([name for name in CLASSES if name != label]))
        relative_size = rng.uniform(*difficulty.bystander_scale)
        angle = rng.uniform(-30, 30)
        other_look = scene.random_look(INSTRUMENTS[other].palette, rng)
        bystander = _place_instrument(other, other_look, rng, size, difficulty, 0.5, relative_size)
        corner = rng.choice((0.12, 0.88), 2) * size + margin
        pose = shift(*corner.tolist()) @ scale(bystander.unit) @ turn(angle)
        bystander.sprites[0].put(background, pose)
    if rng.random() < 0.75:
        center = (source.pose.c + margin, source.pose.f + margin)
        scene.figure(background, center, source.unit, look, rng)
    return background.convert("RGB")


def _draw_instrument(
    source: _PlacedInstrument, motion: Motion, frame: int, pose: Matrix, size: int
) -> Image.Image:
    """The instrument alone, on a transparent frame."""
    layer = Image.new("RGBA", (size, size))
    tilt = turn(source.instrument.bob * motion.sway[frame])
    for part, sprite in zip(source.instrument.parts, source.sprites, strict=True):
        sprite.put(layer, pose @ tilt @ part.at(motion, frame))
    return layer


def _draw_occluder(
    source: _PlacedInstrument, rng: np.random.Generator, difficulty: Difficulty
) -> tuple[Cutout | None, Matrix]:
    """A pole or a music stand in front of the source, and its pose; None if there is none."""
    x, y = source.unit * rng.normal(0, 0.6, 2)
    place = shift(source.pose.c + x, source.pose.f + y)
    pose = place @ scale(source.unit) @ turn(rng.uniform(-30, 30))
    if rng.random() >= difficulty.occluder_chance:
        return None, pose
    sprite = Sprite(source.unit)
    scene.stand(sprite, rng)
    return sprite.finish(rng.uniform(0, 6)), pose


def _camera_views(
    frames: int, rng: np.random.Generator, size: int, difficulty: Difficulty
) -> list[Matrix]:
    """The view of a hand-held camera at each frame: small shifts, turns and zooms."""
    x = _slow_sine(frames, rng, difficulty.shake * size)
    y = _slow_sine(frames, rng, difficulty.shake * size)
    roll = _slow_sine(frames, rng, 60 * difficulty.shake)
    zoom = _slow_sine(frames, rng, difficulty.shake)
    center = size / 2
    views = []
    for i in range(frames):
        place = shift(center + x[i], center + y[i])
        views.append(place @ scale(1 + zoom[i]) @ turn(roll[i]) @ shift(-center, -center))
    return views


def _slow_sine(frames: int, rng: np.random.Generator, amplitude: float) -> Floats:
    """A sine (frames,) of random frequency and phase."""
    frequency = rng.uniform(0.01, 0.04)  # periods a frame
    phase = frequency * np.arange(frames) + rng.random()
    return np.asarray(amplitude * exact.sin(2 * np.pi * phase))


def _bounding_box(layer: Image.Image) -> BoxEdges:
    """Bounding box of the opaque pixels; the whole frame if there are none."""
    box = layer.getchannel("A").point(_OPAQUE).getbbox() or (0, 0, *layer.size)
    x0, y0, x1, y1 = (round(edge / layer.width, 4) for edge in box)
    return x0, y0, x1, y1


@final
class _Camera:
    """Haze, light and noise of one camera."""

    def __init__(self, rng: np.random.Generator, size: int, difficulty: Difficulty) -> None:
        self._rng = rng
        gain = (1 - rng.uniform(*difficulty.haze)) * exact.exp(rng.normal(0, 0.08, 3))
        curve = np.arange(256) * gain[:, None] + rng.uniform(-20, 50)
        self._curve = np.clip(curve, 0, 255).astype(int).ravel().tolist()
        grain = 128 + rng.uniform(*difficulty.noise) * rng.standard_normal(
            (2 * size, 2 * size, 3), np.float32
        )
        self._grain = Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))

    def take(self, picture: Image.Image) -> NDArray[np.uint8]:
        """The picture (H, W, 3) as this camera records it."""
        x, y = (int(corner) for corner in self._rng.integers(0, picture.width, 2))
        grain = self._grain.crop((x, y, x + picture.width, y + picture.height))
        return np.asarray(ImageChops.add(picture.point(self._curve), grain, offset=-128))
