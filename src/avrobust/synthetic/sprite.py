"""A small drawing board in an instrument's own units: shapes, shaded tubes, and affine maps to the frame."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from avrobust.synthetic.score import Floats

Color = tuple[int, int, int]
Point = tuple[float, float]
Matrix = NDArray[np.float64]  # (3, 3) affine, acting on columns (x, y, 1)

HALF = 1.6  # a sprite shows -HALF to HALF units; an instrument's body lies within -1 to 1, x right, y down
_AFFINE, _BILINEAR = Image.Transform.AFFINE, Image.Resampling.BILINEAR
_FINE = 4  # drawn so much larger than in the frame
_REDUCE = 2  # then reduced by so much, the rest by the frame's own interpolation


class Look(NamedTuple):
    """One clip's colors and proportions."""

    body: Color
    dark: Color  # outlines, fingerboards, keys
    light: Color  # highlights, strings
    detail: Color
    skin: Color
    sleeve: Color
    slim: float  # about 1: how slender this instrument is


class Sprite:
    """A square picture with transparency, drawn in instrument units."""

    def __init__(self, unit: float) -> None:
        """Starts empty; `unit` is the length of one instrument unit in pixels of the frame."""
        self._unit = max(unit, 4.0) * _FINE
        side = -(-round(2 * HALF * self._unit) // _REDUCE) * _REDUCE
        self._image = Image.new("RGBA", (side, side))
        self._draw = ImageDraw.Draw(self._image)

    def polygon(
        self, points: Sequence[Point] | Floats, fill: Color, edge: Color | None = None
    ) -> None:
        """A filled polygon, outlined if an edge's color is given."""
        pixels = self._pixels(points)
        self._draw.polygon(pixels, fill)
        if edge is not None:
            self._draw.line(
                [*pixels, pixels[0]], edge, max(1, round(0.022 * self._unit)), joint="curve"
            )

    def ellipse(
        self, center: Point, rx: float, ry: float, fill: Color, edge: Color | None = None
    ) -> None:
        """An upright ellipse."""
        turn = np.linspace(0, 2 * np.pi, 25)[:-1]
        points = np.stack([center[0] + rx * np.cos(turn), center[1] + ry * np.sin(turn)], axis=1)
        self.polygon(points, fill, edge)

    def line(self, points: Sequence[Point] | Floats, width: float, fill: Color) -> None:
        """A line with round joints; its ends are cut straight."""
        self._draw.line(
            self._pixels(points), fill, max(1, round(width * self._unit)), joint="curve"
        )

    def tube(
        self, points: Sequence[Point] | Floats, width: float, look: Look, fill: Color | None = None
    ) -> None:
        """A shaded pipe: dark rims, body, a bright streak along one side."""
        path = np.asarray(points, float)
        self.line(path, width, look.dark)
        self.line(path, width * 0.8, fill or look.body)
        self.line(path - width * 0.17, width * 0.22, look.light)

    def dots(
        self, points: Sequence[Point], radius: float, fill: Color, edge: Color | None = None
    ) -> None:
        """Several discs: keys, pegs, buttons."""
        for point in points:
            self.ellipse(point, radius, radius, fill, edge)

    def finish(self, light: float, blur: float = 0.0) -> "Cutout":
        """Ends the drawing: light falls on it from the angle `light`; `blur` is in pixels of the frame."""
        picture = self._image.reduce(_REDUCE)
        box = picture.getbbox() or (0, 0, 1, 1)
        picture = picture.crop(box).filter(ImageFilter.BoxBlur(blur * _FINE / _REDUCE))
        across, down = np.linspace(-1, 1, picture.width), np.linspace(-1, 1, picture.height)
        glow = 205 + 45 * (np.cos(light) * across[None, :] + np.sin(light) * down[:, None])
        shade = Image.fromarray(np.clip(glow, 0, 255).astype(np.uint8))
        alpha = picture.getchannel("A")
        picture = ImageChops.multiply(
            picture.convert("RGB"), Image.merge("RGB", (shade, shade, shade))
        )
        picture.putalpha(alpha)
        unit = self._unit / _REDUCE
        return Cutout(
            picture.convert("RGBa"),
            shift(box[0] / unit - HALF, box[1] / unit - HALF) @ scale(1 / unit),
        )

    def _pixels(self, points: Sequence[Point] | Floats) -> list[Point]:
        return [(float(x), float(y)) for x, y in (np.asarray(points, float) + HALF) * self._unit]


class Cutout(NamedTuple):
    """A finished sprite, cut to what is drawn."""

    image: (
        Image.Image
    )  # RGBa, that is with premultiplied alpha: the one form that may be interpolated
    matrix: Matrix  # the image's pixels to instrument units

    def put(self, layer: Image.Image, matrix: Matrix) -> None:
        """Puts it into an RGBA layer; the matrix maps instrument units to the layer's pixels."""
        onto = matrix @ self.matrix
        (width, height), (wide, high) = self.image.size, layer.size
        (x0, x1), (y0, y1) = (
            _reach(onto[0], width, height, wide),
            _reach(onto[1], width, height, high),
        )
        if x1 > x0 and y1 > y0:
            a, b, c, d, e, f = inverse(onto)
            back = (a, b, c + a * x0 + b * y0, d, e, f + d * x0 + e * y0)
            small = self.image.transform((x1 - x0, y1 - y0), _AFFINE, back, _BILINEAR)
            layer.alpha_composite(small.convert("RGBA"), (x0, y0))


def _reach(row: Floats, width: int, height: int, limit: int) -> tuple[int, int]:
    """From where to where an image extends in one direction of a layer, given that direction's row of the map."""
    across, down, start = row.tolist()
    low = start + min(across * width, 0) + min(down * height, 0)
    high = start + max(across * width, 0) + max(down * height, 0)
    return max(int(low) - 1, 0), min(int(high) + 2, limit)


def inverse(matrix: Matrix) -> tuple[float, float, float, float, float, float]:
    """The two upper rows of the inverse of an affine map, as Pillow wants them."""
    (a, b, c), (d, e, f), _ = matrix.tolist()
    n = a * e - b * d
    return e / n, -b / n, (b * f - c * e) / n, -d / n, a / n, (c * d - a * f) / n


def shift(x: float, y: float) -> Matrix:
    """The map that moves by (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scale(x: float, y: float | None = None) -> Matrix:
    """The map that stretches about the origin, alike in both directions unless told."""
    return np.diag([x, x if y is None else y, 1.0])


def turn(degrees: float, about: Point = (0.0, 0.0)) -> Matrix:
    """The map that turns clockwise on the screen."""
    angle = np.deg2rad(degrees)
    c, s = np.cos(angle), np.sin(angle)
    turned = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(shift(*about) @ turned @ shift(-about[0], -about[1]))
