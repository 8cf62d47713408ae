"""The surroundings of the instrument: colors, background, the player, objects in front."""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from avrobust.synthetic import exact
from avrobust.synthetic.difficulty import Difficulty
from avrobust.synthetic.exact import Floats
from avrobust.synthetic.sprite import Appearance, Rgb, Sprite

# The background reaches beyond each edge of the frame by this fraction of the frame's size. The
# camera needs it to move.
_MARGIN = 0.125

# Families of colors. Each class uses mostly its own family, sometimes another one.
_BODIES: Mapping[str, tuple[Rgb, ...]] = {
    "wood": (
        (150, 82, 36),
        (182, 118, 60),
        (116, 56, 30),
        (205, 158, 98),
        (88, 48, 32),
        (140, 60, 38),
    ),
    "metal": (
        (206, 172, 84),
        (196, 198, 204),
        (188, 140, 72),
        (222, 196, 120),
        (150, 152, 160),
        (120, 96, 60),
    ),
    "black": ((44, 42, 46), (70, 50, 42), (60, 62, 70), (98, 62, 44), (34, 36, 44)),
    "lacquer": (
        (160, 34, 40),
        (40, 40, 48),
        (206, 200, 188),
        (40, 70, 130),
        (150, 86, 44),
        (60, 110, 80),
    ),
    "bars": (
        (182, 118, 60),
        (140, 70, 44),
        (196, 198, 204),
        (205, 158, 98),
        (110, 60, 50),
        (206, 172, 84),
    ),
}
_SKINS: tuple[Rgb, ...] = ((236, 196, 168), (206, 156, 122), (160, 110, 80), (104, 70, 52))


def random_look(palette: str, rng: np.random.Generator) -> Appearance:
    """Draws the colors of a clip."""
    family = palette if rng.random() < 0.75 else str(rng.choice(list(_BODIES)))
    body = _near(_pick(_BODIES[family], rng), rng, 22)
    dark = _near((34, 26, 24), rng, 14)
    return Appearance(
        body=body,
        dark=dark,
        light=_near(_lighter(body, 0.6), rng, 10),
        detail=_near(_pick(_BODIES[str(rng.choice(list(_BODIES)))], rng), rng, 25),
        skin=_near(_pick(_SKINS, rng), rng, 12),
        sleeve=_random_color(rng),
        slim=float(exact.exp(0.12 * rng.normal())),
    )


def scene_margin(size: int) -> int:
    """Pixels by which the background reaches beyond each edge of the frame."""
    return round(_MARGIN * size)


def background(size: int, rng: np.random.Generator, difficulty: Difficulty) -> Image.Image:
    """Draws a room or a stage: a smooth texture with shapes.

    It reaches beyond each edge of the frame by `scene_margin(size)` pixels.
    """
    side = size + 2 * scene_margin(size)
    picture = _texture(side, rng)
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.integers(*difficulty.shapes, endpoint=True)):
        _shape(draw, side, rng)
    blur = ImageFilter.GaussianBlur(rng.uniform(0, 1.5) * size / 112)
    return picture.filter(blur).convert("RGBA")


def _texture(side: int, rng: np.random.Generator) -> Image.Image:
    """Smooth noise of three sizes on a gradient between two colors."""
    ramp = np.linspace(0, 1, side)
    slope_x, slope_y = rng.uniform(-0.7, 0.7, 2)
    gradient = 0.5 + slope_x * (ramp[None, :] - 0.5) + slope_y * (ramp[:, None] - 0.5)
    blend = np.clip(gradient, 0, 1)[..., None]
    first = np.array(_random_color(rng))
    second = np.array(_random_color(rng))
    picture = first + blend * (second - first)
    for cells, strength in ((3, 24.0), (9, 14.0), (36, 8.0)):
        picture = picture + rng.uniform(0.3, 1.3) * strength * _cloud(side, cells, rng)
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def _cloud(side: int, cells: int, rng: np.random.Generator) -> Floats:
    """Smooth noise (side, side, 1) with values from about -1 to 1."""
    coarse = Image.fromarray(rng.uniform(-1, 1, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), float)[..., None]


def _shape(draw: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    """Draws one object: a box, a ball, a pole, a splinter or a row of stripes."""
    x, y = rng.uniform(-0.1, 1.1, 2) * side
    w, h = rng.uniform(0.04, 0.3, 2) * side
    kind, fill = rng.integers(5), _random_color(rng)
    if kind == 0:
        draw.rectangle((x, y, x + w, y + h), fill)
    elif kind == 1:
        draw.ellipse((x, y, x + w, y + w), fill, outline=_random_color(rng))
    elif kind == 2:
        draw.line((x, y, *(rng.uniform(0, 1, 2) * side)), fill, int(rng.integers(1, 5)))
    elif kind == 3:
        offsets = rng.uniform(-1, 1, (4, 2)) * (w, h)
        draw.polygon([(x + float(dx), y + float(dy)) for dx, dy in offsets], fill)
    else:
        for step in np.arange(0, 1, 0.2):
            draw.line((x + step * w, y, x + step * w, y + 2 * h), fill, 2)


def figure(
    picture: Image.Image,
    center: tuple[float, float],
    unit: float,
    look: Appearance,
    rng: np.random.Generator,
) -> None:
    """Draws the head and shoulders of a player into the background, behind the instrument."""
    draw = ImageDraw.Draw(picture)
    x, y = center[0] + unit * rng.normal(0, 0.25), center[1] + unit * rng.normal(0, 0.2)
    w, head = unit * rng.uniform(0.7, 1.0), unit * rng.uniform(0.26, 0.36)
    draw.polygon(
        [
            (x - 0.5 * w, y - 0.5 * unit),
            (x + 0.5 * w, y - 0.5 * unit),
            (x + w, y + 1.8 * unit),
            (x - w, y + 1.8 * unit),
        ],
        look.sleeve,
    )
    draw.ellipse((x - 0.62 * w, y - 0.65 * unit, x + 0.62 * w, y + 0.3 * unit), look.sleeve)
    top = y - 0.62 * unit - head
    draw.rectangle((x - 0.3 * head, top, x + 0.3 * head, y - 0.5 * unit), look.skin)
    draw.ellipse((x - 0.8 * head, top - head, x + 0.8 * head, top + head), look.skin)
    draw.chord(
        (x - 0.85 * head, top - 1.1 * head, x + 0.85 * head, top + 0.7 * head), 180, 360, look.dark
    )


def stand(s: Sprite, rng: np.random.Generator) -> None:
    """Draws a pole, sometimes with sheet music on it."""
    s.line([(0, -1.5 * rng.random()), (0, 1.6)], rng.uniform(0.06, 0.2), _random_color(rng))
    if rng.random() < 0.5:
        w, h = rng.uniform(0.15, 0.35), rng.uniform(0.12, 0.3)
        s.polygon([(-w, -h), (w, -h), (w, h), (-w, h)], _random_color(rng), (30, 30, 30))


def _pick(colors: tuple[Rgb, ...], rng: np.random.Generator) -> Rgb:
    return colors[rng.integers(len(colors))]


def _random_color(rng: np.random.Generator) -> Rgb:
    """A random color, mostly a muted one, as rooms and clothes have."""
    return _near((int(rng.uniform(30, 225)),) * 3, rng, rng.choice((12, 25, 60)))


def _near(color: Rgb, rng: np.random.Generator, spread: float) -> Rgb:
    """A random color near another; `spread` is a standard deviation in 8-bit levels."""
    noisy = np.clip(color + rng.normal(0, spread, 3), 0, 255)
    r, g, b = (int(level) for level in noisy)
    return r, g, b


def _lighter(color: Rgb, share: float) -> Rgb:
    """Mixes a color with white; a share of 1 gives white."""
    r, g, b = (round(level + (255 - level) * share) for level in color)
    return r, g, b
