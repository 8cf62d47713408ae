"""Drawings of the string instruments: violin, cello, erhu, acoustic guitar. Necks point up."""

import numpy as np

from avrobust.synthetic import exact
from avrobust.synthetic.exact import Floats
from avrobust.synthetic.parts import Instrument, Part, bow, hand
from avrobust.synthetic.sprite import Appearance, Rgb, Sprite

_BOUTS = (0.9, 0.95, 0.78, 0.52, 0.5, 0.85, 1.08, 1.1, 1.05)  # half-widths down a violin's body
_GUITAR_BOUTS = (0.85, 0.85, 0.82, 0.68, 0.68, 0.9, 1.08, 1.12, 1.1)


def _waisted(top: float, bottom: float, widths: tuple[float, ...]) -> Floats:
    """A smooth symmetric outline with the given half-widths at equal steps from top to bottom."""
    fine = np.linspace(0, 1, 41)
    rough = np.interp(fine, np.linspace(0, 1, len(widths)), widths)
    padded = np.pad(rough, 2, "edge")
    half = np.lib.stride_tricks.sliding_window_view(padded, 5).sum(axis=1) / 5
    half *= exact.power(exact.sin(np.pi * np.clip(fine, 0.002, 0.998)), 0.3)
    y = top + (bottom - top) * fine
    return np.concatenate([np.stack([half, y], 1), np.stack([-half, y], 1)[::-1]])


def _plate(s: Sprite, outline: Floats, look: Appearance) -> None:
    """A curved wooden top: the outline, and a lighter area inside."""
    center = outline.mean(axis=0)
    s.polygon(outline, look.body, look.dark)
    s.polygon((outline - center) * 0.72 + center - 0.03, _mix(look.body, look.light, 0.3))


def _mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    """Mixes two colors; a share of 1 gives the second."""
    r, g, b = (round(x + (y - x) * share) for x, y in zip(first, second, strict=True))
    return r, g, b


def _fiddle(s: Sprite, look: Appearance, top: float, bottom: float, width: float) -> None:
    """The body, neck and strings that violin and cello share."""
    width *= look.slim
    _plate(s, _waisted(top, bottom, tuple(width * share for share in _BOUTS)), look)
    tall = bottom - top
    for side in (-1, 1):  # the f-holes
        x, y = side * 0.32 * width, top + 0.5 * tall
        s.line([(x * 0.8, y), (x, y + 0.08 * tall), (x * 1.15, y + 0.18 * tall)], 0.035, look.dark)
    s.polygon(
        [(-0.05, -0.8), (0.05, -0.8), (0.075, top + 0.45 * tall), (-0.075, top + 0.45 * tall)],
        look.dark,
    )
    s.ellipse((0, -0.92), 0.07, 0.1, look.body, look.dark)  # the scroll
    s.dots([(-0.12, -0.88), (0.12, -0.84), (-0.12, -0.8), (0.12, -0.92)], 0.035, look.dark)
    s.polygon(
        [
            (-0.06, bottom - 0.28 * tall),
            (0.06, bottom - 0.28 * tall),
            (0.03, bottom - 0.03),
            (-0.03, bottom - 0.03),
        ],
        look.dark,
    )
    s.line(
        [(-0.13 * width / 0.4, bottom - 0.36 * tall), (0.13 * width / 0.4, bottom - 0.36 * tall)],
        0.04,
        look.light,
    )
    for x in (-0.03, 0.0, 0.03):
        s.line([(x, -0.85), (x * 1.5, bottom - 0.28 * tall)], 0.012, look.light)


def _violin(s: Sprite, look: Appearance) -> None:
    _fiddle(s, look, -0.16, 0.98, 0.42)
    s.ellipse((-0.17, 0.9), 0.13, 0.09, look.dark)  # the chin rest


def _cello(s: Sprite, look: Appearance) -> None:
    s.line([(0, 0.7), (0, 1.15)], 0.03, look.dark)  # the endpin
    _fiddle(s, look, -0.3, 0.88, 0.5)


def _erhu(s: Sprite, look: Appearance) -> None:
    wide = 0.2 * look.slim
    s.line([(0, -1.0), (0, 0.7)], 0.055, look.dark)
    s.line([(0, -1.0), (-0.08, -1.08)], 0.055, look.dark)
    for y in (-0.78, -0.6):
        s.line([(-0.02, y), (0.24, y)], 0.05, look.body)
    s.polygon(
        [
            (-wide, 0.68),
            (-wide * 0.6, 0.55),
            (wide * 0.6, 0.55),
            (wide, 0.68),
            (wide, 0.86),
            (wide * 0.6, 0.99),
            (-wide * 0.6, 0.99),
            (-wide, 0.86),
        ],
        look.body,
        look.dark,
    )
    s.ellipse((0, 0.77), wide * 0.7, 0.16, look.detail, look.dark)  # the snake skin
    for x in (-0.05, 0.05):
        s.line([(x * 0.3, -0.8), (x, 0.75)], 0.014, look.light)


def _guitar(s: Sprite, look: Appearance) -> None:
    width = 0.46 * look.slim
    _plate(s, _waisted(-0.12, 0.98, tuple(width * share for share in _GUITAR_BOUTS)), look)
    s.ellipse((0, 0.28), 0.15, 0.15, look.dark, look.detail)
    s.polygon([(-0.055, -0.85), (0.055, -0.85), (0.07, 0.18), (-0.07, 0.18)], look.dark)
    for y in np.linspace(-0.8, 0.1, 9):
        s.line([(-0.06, y), (0.06, y)], 0.012, look.light)
    s.polygon([(-0.09, -1.08), (0.09, -1.08), (0.06, -0.83), (-0.06, -0.83)], look.body, look.dark)
    s.dots([(x, y) for x in (-0.12, 0.12) for y in (-1.04, -0.96, -0.88)], 0.03, look.light)
    s.line([(-0.14, 0.68), (0.14, 0.68)], 0.06, look.dark)
    for x in (-0.04, -0.013, 0.013, 0.04):
        s.line([(x, -0.85), (x, 0.68)], 0.01, look.light)


_FINGERS = Part(hand((-0.07, -0.7), (-0.5, -0.1)), pitch=(0.0, 0.42))

STRINGS = {
    "violin": Instrument(
        (Part(_violin), _FINGERS, Part(bow(0.42, 1.5, 0.1), stroke=(0.45, 0.03))),
        "wood",
        62,
        26,
        bob=5,
    ),
    "cello": Instrument(
        (Part(_cello), _FINGERS, Part(bow(0.34, 1.35, 0.06), stroke=(0.4, 0.02))),
        "wood",
        10,
        13,
        reach=1.1,
        bob=3,
    ),
    "erhu": Instrument(
        (Part(bow(0.5, 1.4, -0.04), stroke=(0.45, -0.02)), Part(_erhu), _FINGERS),
        "wood",
        -6,
        14,
        reach=1.05,
        bob=3,
    ),
    "acoustic_guitar": Instrument(
        (
            Part(_guitar),
            _FINGERS,
            Part(hand((0.12, 0.3), (0.75, 0.15)), strike=(-0.16, 0.1), stroke=(-0.05, 0.04)),
        ),
        "wood",
        68,
        24,
        reach=1.1,
        bob=3,
    ),
}
