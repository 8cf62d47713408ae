"""Drawings in instrument units: shapes, shaded tubes, and affine maps to the frame."""

import math
from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from avrobust.synthetic import exact
from avrobust.synthetic.exact import Floats

Rgb = tuple[int, int, int]
Vertex = tuple[float, float]

# A sprite shows -HALF to HALF instrument units, x to the right, y down. The body of an instrument
# lies within -1 to 1.
HALF = 1.6

# A sprite is drawn _FINE times larger than in the frame, for smooth edges. Then it is reduced
# _REDUCE times; `Cutout.put` reduces the rest when it interpolates.
_FINE = 4
_REDUCE = 2


class Matrix(NamedTuple):
    """An affine map: (x, y) goes to (a x + b y + c, d x + e y + f).

    BLAS would choose the order of its sums by the processor; these sums have one order.
    """

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def __matmul__(self, inner: "Matrix") -> "Matrix":
        """The map that applies `inner` first."""
        a, b, c, d, e, f = self
        return Matrix(
            a * inner.a + b * inner.d,
            a * inner.b + b * inner.e,
            a * inner.c + b * inner.f + c,
            d * inner.a + e * inner.d,
            d * inner.b + e * inner.e,
            d * inner.c + e * inner.f + f,
        )


class Appearance(NamedTuple):
    """The colors and proportions of one clip."""

    body: Rgb
    dark: Rgb  # outlines, fingerboards, keys
    light: Rgb  # highlights, strings
    detail: Rgb
    skin: Rgb
    sleeve: Rgb
    slim: float  # relative width of the instrument, about 1


@final
class Sprite:
    """A square picture with transparency, drawn in instrument units."""

    def __init__(self, unit: float) -> None:
        """Starts an empty picture; `unit` is the length of an instrument unit in frame pixels."""
        self._unit = max(unit, 4.0) * _FINE
        side = -(-round(2 * HALF * self._unit) // _REDUCE) * _REDUCE
        self._image = Image.new("RGBA", (side, side))
        self._draw = ImageDraw.Draw(self._image)

    def polygon(
        self, points: Sequence[Vertex] | Floats, fill: Rgb, edge: Rgb | None = None
    ) -> None:
        """Draws a filled polygon; `edge` is the color of the outline."""
        pixels = self._pixels(points)
        self._draw.polygon(pixels, fill)
        if edge is not None:
            self._draw.line(
                [*pixels, pixels[0]], edge, max(1, round(0.022 * self._unit)), joint="curve"
            )

    def ellipse(
        self, center: Vertex, rx: float, ry: float, fill: Rgb, edge: Rgb | None = None
    ) -> None:
        """Draws a filled ellipse with horizontal and vertical axes."""
        turn = np.linspace(0, 2 * np.pi, 25)[:-1]
        points = np.stack(
            [center[0] + rx * exact.cos(turn), center[1] + ry * exact.sin(turn)], axis=1
        )
        self.polygon(points, fill, edge)

    def line(self, points: Sequence[Vertex] | Floats, width: float, fill: Rgb) -> None:
        """Draws a line with round joints and straight ends."""
        self._draw.line(
            self._pixels(points), fill, max(1, round(width * self._unit)), joint="curve"
        )

    def tube(
        self,
        points: Sequence[Vertex] | Floats,
        width: float,
        look: Appearance,
        fill: Rgb | None = None,
    ) -> None:
        """Draws a shaded tube: dark edges, the body, and a highlight along one side."""
        path = np.asarray(points, float)
        self.line(path, width, look.dark)
        self.line(path, width * 0.8, fill or look.body)
        self.line(path - width * 0.17, width * 0.22, look.light)

    def dots(
        self, points: Sequence[Vertex], radius: float, fill: Rgb, edge: Rgb | None = None
    ) -> None:
        """Draws discs, for example keys, pegs or buttons."""
        for point in points:
            self.ellipse(point, radius, radius, fill, edge)

    def finish(self, light: float, blur: float = 0.0) -> "Cutout":
        """Adds light and blur, and crops the picture to what is drawn.

        Args:
            light: Direction of the light, in radians.
            blur: In pixels of the frame.
        """
        picture = self._image.reduce(_REDUCE)
        box = picture.getbbox() or (0, 0, 1, 1)
        picture = picture.crop(box).filter(ImageFilter.BoxBlur(blur * _FINE / _REDUCE))
        x = np.linspace(-1, 1, picture.width)[None, :]
        y = np.linspace(-1, 1, picture.height)[:, None]
        brightness = 205 + 45 * (exact.cos(light) * x + exact.sin(light) * y)
        shade = Image.fromarray(np.clip(brightness, 0, 255).astype(np.uint8))
        alpha = picture.getchannel("A")
        picture = ImageChops.multiply(
            picture.convert("RGB"), Image.merge("RGB", (shade, shade, shade))
        )
        picture.putalpha(alpha)
        unit = self._unit / _REDUCE
        to_units = shift(box[0] / unit - HALF, box[1] / unit - HALF) @ scale(1 / unit)
        return Cutout(picture.convert("RGBa"), to_units)

    def _pixels(self, points: Sequence[Vertex] | Floats) -> list[Vertex]:
        return [(float(x), float(y)) for x, y in (np.asarray(points, float) + HALF) * self._unit]


class Cutout(NamedTuple):
    """A finished sprite, cropped to what is drawn."""

    image: Image.Image  # RGBa: only premultiplied alpha may be interpolated
    matrix: Matrix  # maps pixels of the image to instrument units

    def put(self, layer: Image.Image, matrix: Matrix) -> None:
        """Draws the sprite into an RGBA layer.

        Args:
            layer: The layer.
            matrix: Maps instrument units to pixels of the layer.
        """
        to_layer = matrix @ self.matrix
        x0, x1 = _extent(to_layer[:3], self.image.size, layer.width)
        y0, y1 = _extent(to_layer[3:], self.image.size, layer.height)
        if x1 > x0 and y1 > y0:
            # Only the part of the layer that the sprite covers is computed.
            a, b, c, d, e, f = inverse(to_layer)
            to_image = (a, b, c + a * x0 + b * y0, d, e, f + d * x0 + e * y0)
            part = self.image.transform(
                (x1 - x0, y1 - y0), Image.Transform.AFFINE, to_image, Image.Resampling.BILINEAR
            )
            layer.alpha_composite(part.convert("RGBA"), (x0, y0))


def _extent(row: tuple[float, ...], image_size: tuple[int, int], limit: int) -> tuple[int, int]:
    """The range of a layer's pixels that an image covers in one direction.

    Args:
        row: The row of the affine map that belongs to this direction.
        image_size: Width and height of the image.
        limit: Size of the layer in this direction.
    """
    width, height = image_size
    across, down, start = row
    low = start + min(across * width, 0) + min(down * height, 0)
    high = start + max(across * width, 0) + max(down * height, 0)
    return max(int(low) - 1, 0), min(int(high) + 2, limit)


def inverse(matrix: Matrix) -> Matrix:
    """The inverse of an affine map."""
    a, b, c, d, e, f = matrix
    det = a * e - b * d
    return Matrix(
        e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det
    )


def shift(x: float, y: float) -> Matrix:
    """The map that translates by (x, y)."""
    return Matrix(1.0, 0.0, x, 0.0, 1.0, y)


def scale(x: float, y: float | None = None) -> Matrix:
    """The map that scales about the origin; `y` is `x` if it is None."""
    return Matrix(x, 0.0, 0.0, 0.0, x if y is None else y, 0.0)


def turn(degrees: float, about: Vertex = (0.0, 0.0)) -> Matrix:
    """The map that rotates clockwise around a point."""
    angle = math.radians(degrees)
    c, s = float(exact.cos(angle)), float(exact.sin(angle))
    return shift(*about) @ Matrix(c, -s, 0.0, s, c, 0.0) @ shift(-about[0], -about[1])
