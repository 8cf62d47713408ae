"""Drawings of the wind instruments: flute, clarinet, saxophone, trumpet, tuba.

Tubes run down from the mouth.
"""

import numpy as np

from avrobust.synthetic import exact
from avrobust.synthetic.exact import Floats
from avrobust.synthetic.parts import Instrument, Part, hand
from avrobust.synthetic.sprite import Appearance, Sprite


def _arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> Floats:
    """Points (15, 2) on an arc of an ellipse; angles are in degrees, clockwise from the right."""
    turn = np.deg2rad(np.linspace(start, end, 15))
    return np.stack([x + rx * exact.cos(turn), y + ry * exact.sin(turn)], axis=1)


def _flare(flare: Floats, exponent: float) -> Floats:
    """The widening of a bell along its length: a power, 0 at 0."""
    return np.where(flare > 0, exact.power(np.maximum(flare, 1e-9), exponent), 0.0)


def _cone(s: Sprite, path: Floats, widths: tuple[float, float], look: Appearance) -> None:
    """A tube that widens along its path, with a highlight on one side."""
    step = np.gradient(path, axis=0)
    normal = np.stack([-step[:, 1], step[:, 0]], 1) / (
        np.linalg.norm(step, axis=1, keepdims=True) + 1e-9
    )
    half = np.linspace(*widths, len(path))[:, None] / 2
    s.polygon(
        np.concatenate([path + normal * half, (path - normal * half)[::-1]]), look.body, look.dark
    )
    s.polygon(
        np.concatenate([path + normal * half * 0.7, (path + normal * half * 0.25)[::-1]]),
        look.light,
    )


def _flute(s: Sprite, look: Appearance) -> None:
    wide = 0.1 * look.slim
    s.tube([(0, -1.05), (0, 1.05)], wide, look)
    s.line([(0, -0.62), (0, -0.58)], wide * 1.3, look.dark)
    s.line([(0, 0.72), (0, 0.76)], wide * 1.3, look.dark)
    s.ellipse((0.01, -0.78), wide * 0.75, 0.1, look.light, look.dark)  # the lip plate
    s.ellipse((0.01, -0.78), 0.025, 0.035, look.dark)
    s.dots([(0.0, y) for y in np.linspace(-0.35, 0.65, 9)], wide * 0.45, look.detail, look.dark)
    s.line([(wide * 0.62, -0.3), (wide * 0.62, 0.62)], 0.025, look.light)


def _clarinet(s: Sprite, look: Appearance) -> None:
    wide = 0.12 * look.slim
    s.polygon(
        [(-0.025, -1.05), (0.025, -1.05), (wide / 2, -0.8), (-wide / 2, -0.8)], look.dark
    )  # the mouthpiece
    s.tube([(0, -0.82), (0, 0.75)], wide, look)
    s.polygon(
        [(-wide / 2, 0.7), (wide / 2, 0.7), (wide * 1.25, 1.02), (-wide * 1.25, 1.02)],
        look.body,
        look.dark,
    )
    for y in (-0.8, -0.5, 0.08, 0.7):
        s.line([(0, y - 0.025), (0, y + 0.025)], wide * 1.15, look.light)
    s.dots(
        [(0.0, y) for y in (-0.35, -0.22, -0.09, 0.22, 0.35, 0.48)],
        wide * 0.42,
        look.detail,
        look.dark,
    )
    s.line([(wide * 0.65, -0.4), (wide * 0.65, 0.6)], 0.03, look.detail)


def _saxophone(s: Sprite, look: Appearance) -> None:
    wide = look.slim
    s.line(
        np.concatenate([[(-0.62, -0.72)], _arc(-0.28, -0.62, 0.24, 0.26, 200, 350)]),
        0.09,
        look.dark,
    )
    s.line(
        np.concatenate([[(-0.62, -0.72)], _arc(-0.28, -0.62, 0.24, 0.26, 200, 350)]),
        0.06,
        look.body,
    )
    s.line([(-0.78, -0.66), (-0.58, -0.73)], 0.09, look.dark)  # the mouthpiece
    body = np.concatenate(
        [
            np.linspace((-0.04, -0.62), (0.0, 0.55), 12),
            _arc(0.24, 0.58, 0.24, 0.34, 180, 10)[1:],
            np.linspace((0.5, 0.5), (0.62, 0.02), 6),
        ]
    )
    _cone(s, body, (0.1 * wide, 0.36 * wide), look)
    s.ellipse((0.65, -0.03), 0.3 * wide, 0.11, look.dark, look.light)  # the bell's mouth
    s.dots([(-0.02, y) for y in np.linspace(-0.42, 0.4, 6)], 0.065, look.detail, look.dark)
    s.dots([(0.42, 0.62), (0.2, 0.75)], 0.075, look.detail, look.dark)


def _trumpet(s: Sprite, look: Appearance) -> None:
    wide = 0.075 * look.slim
    loop = np.concatenate(
        [_arc(0.42, 0.17, 0.15, 0.17, -90, 90), _arc(-0.5, 0.17, 0.15, 0.17, 90, 270)]
    )
    s.tube(np.concatenate([loop, loop[:1]]), wide, look)
    s.tube([(-1.02, 0.0), (0.5, 0.0)], wide, look)
    s.line([(-1.08, 0.0), (-0.98, 0.0)], 0.12, look.light)  # the mouthpiece
    flare = np.linspace(0, 1, 12)
    edge = 0.04 + 0.27 * look.slim * _flare(flare, 2.6)
    s.polygon(
        np.concatenate(
            [
                np.stack([0.3 + 0.72 * flare, edge], 1),
                np.stack([0.3 + 0.72 * flare, -edge], 1)[::-1],
            ]
        ),
        look.body,
        look.dark,
    )
    s.ellipse((1.02, 0.0), 0.06, 0.31 * look.slim, look.light, look.dark)
    for x in (-0.16, 0.0, 0.16):
        s.tube([(x, -0.2), (x, 0.42)], 0.12, look)
        s.ellipse((x, -0.24), 0.06, 0.03, look.detail, look.dark)


def _tuba(s: Sprite, look: Appearance) -> None:
    wide = look.slim
    for grow in (1.0, 0.68, 0.4):
        s.tube(_arc(0.0, 0.42, 0.5 * grow, 0.54 * grow, 0, 360), 0.17 * (0.5 + grow / 2), look)
    _cone(
        s,
        np.concatenate(
            [_arc(0.1, 0.35, 0.42, 0.5, 60, 0), np.linspace((0.5, 0.25), (0.36, -0.72), 10)]
        ),
        (0.2, 0.4 * wide),
        look,
    )
    flare = np.linspace(0, 1, 10)
    edge = 0.2 * wide + 0.3 * wide * _flare(flare, 2.2)
    s.polygon(
        np.concatenate(
            [
                np.stack([0.36 + edge, -0.66 - 0.3 * flare], 1),
                np.stack([0.36 - edge, -0.66 - 0.3 * flare], 1)[::-1],
            ]
        ),
        look.body,
        look.dark,
    )
    s.ellipse((0.36, -0.97), 0.5 * wide, 0.12, look.dark, look.light)
    for x in (-0.2, -0.04, 0.12):
        s.tube([(x, 0.1), (x, 0.7)], 0.12, look)
        s.ellipse((x, 0.07), 0.07, 0.035, look.detail, look.dark)
    s.tube([(-0.5, 0.3), (-0.52, -0.22), (-0.66, -0.3)], 0.07, look)  # to the mouth


_UPPER = Part(hand((0.07, -0.25), (0.65, 0.25)), pitch=(0.0, 0.07), strike=(0.03, 0.0))
_LOWER = Part(hand((-0.05, 0.3), (-0.6, 0.75)), pitch=(0.0, -0.07), strike=(-0.03, 0.0))
_VALVES = Part(hand((0.0, -0.27), (0.3, 0.6)), strike=(0.0, 0.09), pitch=(0.06, 0.0))

WINDS = {
    "flute": Instrument((Part(_flute), _UPPER, _LOWER), "metal", -78, 20, reach=1.2, bob=9),
    "clarinet": Instrument((Part(_clarinet), _UPPER, _LOWER), "black", -22, 22, reach=1.15, bob=9),
    "saxophone": Instrument((Part(_saxophone), _UPPER, _LOWER), "metal", 8, 18, bob=9),
    "trumpet": Instrument((Part(_trumpet), _VALVES), "metal", 4, 16, bob=10),
    "tuba": Instrument(
        (
            Part(_tuba),
            Part(hand((-0.03, 0.02), (-0.6, 0.4)), strike=(0.0, 0.09), pitch=(0.06, 0.0)),
        ),
        "metal",
        0,
        10,
        reach=1.1,
        bob=6,
    ),
}
