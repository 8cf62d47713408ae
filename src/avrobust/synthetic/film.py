"""Draws a film: the instrument played in front of a background, seen through a camera."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from avrobust.synthetic import scene
from avrobust.synthetic.difficulty import Difficulty
from avrobust.synthetic.others import OTHERS
from avrobust.synthetic.parts import Instrument
from avrobust.synthetic.plan import CLASSES
from avrobust.synthetic.score import Floats, Motion
from avrobust.synthetic.sprite import Cutout, Look, Matrix, Sprite, inverse, scale, shift, turn
from avrobust.synthetic.strings import STRINGS
from avrobust.synthetic.winds import WINDS

INSTRUMENTS: dict[str, Instrument] = {**STRINGS, **WINDS, **OTHERS}

_SOLID = [255 * (alpha > 64) for alpha in range(256)]

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 as shares of the frame's sides


class Picture(NamedTuple):
    """One frame."""

    pixels: NDArray[np.uint8]  # (H, W, 3)
    box: Box  # around the sounding instrument


class _Actor(NamedTuple):
    """An instrument placed in the scene."""

    instrument: Instrument
    sprites: list[Cutout]
    pose: Matrix  # instrument units to the frame's pixels
    unit: float  # pixels


def film(
    label: str, motion: Motion, rng: np.random.Generator, size: int, hard: Difficulty
) -> Iterator[Picture]:
    """Draws the frames of one clip.

    Args:
        label: the instrument's class.
        motion: the player's motion at each frame.
        rng: the source of chance.
        size: the frame's side in pixels.
        hard: the conditions to draw from.
    """
    frames = len(motion.sway)
    look, blur = (
        scene.random_look(INSTRUMENTS[label].palette, rng),
        rng.uniform(*hard.blur) * size / 112,
    )
    source = _actor(label, look, rng, size, hard, blur)
    stage, edge = _stage(label, source, look, rng, size, hard), scene.margin(size)
    lens = _Lens(rng, size, hard)
    front, where = _passer_by(source, rng, hard)
    drift = _wander(frames, rng, 0.5)
    for frame, view in enumerate(_views(frames, rng, size, hard)):
        layer = _layer(source, motion, frame, view @ source.pose @ turn(drift[frame]), size)
        box = _box(layer)
        if front is not None:
            front.put(layer, view @ where)
        onto = inverse(view @ shift(-edge, -edge))
        picture = stage.transform(
            (size, size), Image.Transform.AFFINE, onto, Image.Resampling.BILINEAR
        )
        picture.paste(layer, mask=layer.getchannel("A"))
        yield Picture(lens(picture), box)


def _actor(
    label: str,
    look: Look,
    rng: np.random.Generator,
    size: int,
    hard: Difficulty,
    blur: float,
    share: float = 1.0,
) -> _Actor:
    instrument = INSTRUMENTS[label]
    unit = share * instrument.reach * rng.uniform(*hard.scale) * size / 2
    light = rng.uniform(0, 2 * np.pi)
    sprites = []
    for part in instrument.parts:
        sprite = Sprite(unit)
        part.draw(sprite, look)
        sprites.append(sprite.finish(light, blur))
    center = size * np.clip(0.5 + hard.shift * rng.normal(size=2), 0.25, 0.75)
    angle = instrument.angle + hard.turn * instrument.spread * rng.normal()
    mirror = scale(float(rng.choice((-1, 1))), 1)
    return _Actor(instrument, sprites, shift(*center) @ mirror @ scale(unit) @ turn(angle), unit)


def _stage(
    label: str, source: _Actor, look: Look, rng: np.random.Generator, size: int, hard: Difficulty
) -> Image.Image:
    """The background with all that stands still in it."""
    stage = scene.background(size, rng, hard)
    edge = scene.margin(size)
    if rng.random() < hard.bystander_chance:
        other = str(rng.choice([name for name in CLASSES if name != label]))
        share, angle = rng.uniform(*hard.bystander_scale), rng.uniform(-30, 30)
        actor = _actor(
            other, scene.random_look(INSTRUMENTS[other].palette, rng), rng, size, hard, 0.5, share
        )
        corner = rng.choice((0.12, 0.88), 2) * size + edge
        actor.sprites[0].put(stage, shift(*corner) @ scale(actor.unit) @ turn(angle))
    if rng.random() < 0.75:
        scene.figure(
            stage, (source.pose[0, 2] + edge, source.pose[1, 2] + edge), source.unit, look, rng
        )
    return stage.convert("RGB")


def _layer(actor: _Actor, motion: Motion, frame: int, pose: Matrix, size: int) -> Image.Image:
    """The instrument alone, on a transparent frame."""
    layer = Image.new("RGBA", (size, size))
    tilt = turn(actor.instrument.bob * motion.sway[frame])
    for part, sprite in zip(actor.instrument.parts, actor.sprites, strict=True):
        sprite.put(layer, pose @ tilt @ part.at(motion, frame))
    return layer


def _passer_by(
    source: _Actor, rng: np.random.Generator, hard: Difficulty
) -> tuple[Cutout | None, Matrix]:
    """Something that covers a part of the source: a pole or a music stand."""
    offset = source.unit * rng.normal(0, 0.6, 2)
    where = shift(*(source.pose[:2, 2] + offset)) @ scale(source.unit) @ turn(rng.uniform(-30, 30))
    if rng.random() >= hard.occluder_chance:
        return None, where
    sprite = Sprite(source.unit)
    scene.stand(sprite, rng)
    return sprite.finish(rng.uniform(0, 6)), where


def _views(frames: int, rng: np.random.Generator, size: int, hard: Difficulty) -> list[Matrix]:
    """The hand-held camera: small drifts, turns and zooms, as maps of the frame's pixels."""
    x, y = (_wander(frames, rng, hard.shake * size) for _ in range(2))
    roll, zoom = _wander(frames, rng, 60 * hard.shake), _wander(frames, rng, hard.shake)
    middle = size / 2
    return [
        shift(middle + x[i], middle + y[i])
        @ scale(1 + zoom[i])
        @ turn(roll[i])
        @ shift(-middle, -middle)
        for i in range(frames)
    ]


def _wander(frames: int, rng: np.random.Generator, strength: float) -> Floats:
    """(frames,) a slow sine of random pace and phase."""
    pace = rng.uniform(0.01, 0.04)
    return np.asarray(strength * np.sin(2 * np.pi * (pace * np.arange(frames) + rng.random())))


def _box(layer: Image.Image) -> Box:
    """Where the instrument is, as shares of the frame."""
    found = layer.getchannel("A").point(_SOLID).getbbox() or (0, 0, *layer.size)
    x0, y0, x1, y1 = (round(edge / layer.width, 4) for edge in found)
    return x0, y0, x1, y1


class _Lens:
    """Haze, light and noise of one camera."""

    def __init__(self, rng: np.random.Generator, size: int, hard: Difficulty) -> None:
        self._rng = rng
        gain = (1 - rng.uniform(*hard.haze)) * np.exp(rng.normal(0, 0.08, 3))
        curve = np.arange(256) * gain[:, None] + rng.uniform(-20, 50)
        self._curve = np.clip(curve, 0, 255).astype(int).ravel().tolist()
        grain = 128 + rng.uniform(*hard.noise) * rng.standard_normal(
            (2 * size, 2 * size, 3), np.float32
        )
        self._grain = Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))

    def __call__(self, picture: Image.Image) -> NDArray[np.uint8]:
        x, y = (int(corner) for corner in self._rng.integers(0, picture.width, 2))
        grain = self._grain.crop((x, y, x + picture.width, y + picture.height))
        return np.asarray(ImageChops.add(picture.point(self._curve), grain, offset=-128))
