"""Drawings of the accordion and the xylophone."""

import numpy as np

from avrobust.synthetic.parts import Drawing, Instrument, Part, hand
from avrobust.synthetic.sprite import Appearance, Sprite

_BARS = 9


def _bellows(s: Sprite, look: Appearance) -> None:
    s.polygon([(-0.5, -0.55), (0.5, -0.62), (0.5, 0.62), (-0.5, 0.55)], look.detail, look.dark)
    for number, x in enumerate(np.linspace(-0.44, 0.44, 11)):
        s.line([(x, -0.58), (x, 0.58)], 0.05, look.dark if number % 2 else look.light)


def _treble(s: Sprite, look: Appearance) -> None:
    s.polygon([(0.42, -0.72), (0.72, -0.72), (0.72, 0.72), (0.42, 0.72)], look.body, look.dark)
    s.polygon([(0.72, -0.66), (0.98, -0.66), (0.98, 0.66), (0.72, 0.66)], look.light, look.dark)
    for number, y in enumerate(np.linspace(-0.56, 0.56, 9)):
        s.line([(0.72, y), (0.98, y)], 0.02, look.dark)
        if number % 7 not in (2, 6):
            s.line([(0.72, y), (0.87, y)], 0.07, look.dark)
    s.dots([(0.57, y) for y in (-0.4, 0.0, 0.4)], 0.05, look.light, look.dark)


def _bass(s: Sprite, look: Appearance) -> None:
    s.polygon([(-0.85, -0.62), (-0.45, -0.66), (-0.45, 0.66), (-0.85, 0.62)], look.body, look.dark)
    s.dots(
        [(x, y) for x in (-0.76, -0.65, -0.54) for y in np.linspace(-0.45, 0.45, 6)],
        0.035,
        look.light,
    )


def _frame(s: Sprite, look: Appearance) -> None:
    s.polygon([(-1.05, -0.3), (1.02, -0.17), (1.02, -0.11), (-1.05, -0.2)], look.dark)
    s.polygon([(-1.05, 0.33), (1.02, 0.15), (1.02, 0.21), (-1.05, 0.43)], look.dark)
    for x, y in ((-0.9, 0.4), (0.88, 0.2)):
        s.line([(x, y), (x, 0.95)], 0.06, look.dark)
    for x in np.linspace(-0.9, 0.9, _BARS):  # bars grow shorter to the right
        half, wide = 0.46 - 0.14 * x, 0.088 * look.slim
        s.polygon(
            [
                (x - wide, -half),
                (x + wide, -half * 0.98),
                (x + wide, half * 0.98),
                (x - wide, half),
            ],
            look.body,
            look.dark,
        )
        s.line([(x - wide * 0.35, -half * 0.8), (x - wide * 0.35, half * 0.8)], 0.035, look.light)
        s.dots([(x, -half * 0.62), (x, half * 0.62)], 0.025, look.dark)


def _mallet(x: float) -> Drawing:
    def draw(s: Sprite, look: Appearance) -> None:
        s.line([(x, -0.02), (x + 0.12, 0.72)], 0.045, look.dark)
        s.ellipse((x, -0.05), 0.1, 0.1, look.detail, look.dark)
        hand((x + 0.12, 0.75), (x + 0.2, 1.4))(s, look)

    return draw


OTHERS = {
    "accordion": Instrument(
        (
            Part(_bellows, stretch=0.35, about=(0.5, 0.0)),
            Part(_bass, stroke=(-0.34, 0.0)),
            Part(hand((-0.8, 0.1), (-1.3, 0.5)), stroke=(-0.34, 0.0)),
            Part(_treble),
            Part(hand((0.9, -0.2), (1.3, 0.5)), pitch=(0.0, 0.4), strike=(-0.05, 0.0)),
        ),
        "lacquer",
        0,
        10,
        reach=0.95,
        bob=3,
    ),
    "xylophone": Instrument(
        (
            Part(_frame),
            Part(
                _mallet(-0.75), pitch=(1.0, 0.0), strike=(0.0, 0.22), swing=-8, about=(-0.6, 0.75)
            ),
            Part(
                _mallet(-0.3), pitch=(1.0, 0.0), strike=(0.0, -0.12), swing=10, about=(-0.15, 0.75)
            ),
        ),
        "bars",
        0,
        10,
        reach=1.15,
        bob=0.5,
    ),
}
