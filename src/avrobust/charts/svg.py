"""Draws matplotlib figures as small SVG for the page.

Matplotlib's own SVG has fixed colors, global styles and ids that clash when several figures stand
in one page, and is three times as large. This renderer writes theme colors as classes, no ids, one
decimal, and the notes of marks.
"""

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backend_bases import GraphicsContextBase, RendererBase
from matplotlib.colors import to_hex
from matplotlib.path import Path
from matplotlib.transforms import Transform

from avrobust.charts.notes import Note
from avrobust.charts.style import PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.text import Text

NAMES = {shades.light: name for name, shades in PALETTE.items()}
# A line of length 0 with a round or a square end is the shortest way to write a dot.
DOT = "h0"

Paint = Callable[[str, str], str]


def figure_svg(figure: "Figure", notes: dict[str, Sequence[Note]], label: str) -> str:
    """Renders a figure, laid out already, as the text of one <svg> element.

    Args:
        figure: of any size at 72 dots an inch, so that its points are the units of the SVG.
        notes: by the gid of an artist: one note for each of its marks, or one for all of them.
        label: what a screen reader calls the chart.
    """
    renderer = SvgRenderer(figure.bbox.width, figure.bbox.height, notes)
    figure.draw(renderer)
    width, height = number(figure.bbox.width), number(figure.bbox.height)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" fill="none" '
        f'aria-label="{escape(label)}">{"".join(renderer.parts)}</svg>'
    )


def number(value: float) -> str:
    """A coordinate with one decimal, as short as possible."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


class SvgRenderer(RendererBase):
    """Collects the elements of an SVG; clipping is ignored, as the charts' limits hold their data."""

    def __init__(self, width: float, height: float, notes: dict[str, Sequence[Note]]) -> None:
        super().__init__()
        self.width, self.height = width, height
        self.parts: list[str] = []
        self._notes = notes
        self._group_notes: list[list[Note]] = []  # of the open groups; used up mark by mark

    def get_canvas_width_height(self) -> tuple[float, float]:
        return self.width, self.height

    def points_to_pixels(self, points: Any) -> Any:
        return points

    def open_group(self, s: str, gid: str | None = None) -> None:
        notes = list(self._notes.get(gid or "", ()))
        self._group_notes.append(notes)

    def close_group(self, s: str) -> None:
        self._group_notes.pop()

    def draw_path(
        self,
        gc: GraphicsContextBase,
        path: Path,
        transform: Transform,
        rgbFace: Any = None,  # noqa: N803  (matplotlib's name)
    ) -> None:
        data = self._data(path, transform)
        if data:
            self._add(f'<path d="{data}"{_paint(gc, rgbFace)}/>')

    def draw_markers(
        self,
        gc: GraphicsContextBase,
        marker_path: Path,
        marker_trans: Transform,
        path: Path,
        trans: Transform,
        rgbFace: Any = None,  # noqa: N803
    ) -> None:
        points = [tuple(point) for point, _ in path.iter_segments(trans, simplify=False)]
        round_marker = marker_path.codes is not None and Path.CURVE4 in marker_path.codes
        radius = float(np.abs(marker_trans.transform(marker_path.vertices)).max())
        each = len(self._group_notes[-1]) > 1
        if round_marker and each:
            for x, y in points:
                place = f'cx="{number(x)}" cy="{number(self.height - y)}"'
                self._add(f'<circle {place} r="{number(radius)}"{_paint(gc, rgbFace)}/>')
        elif round_marker:
            dots = [f"M{number(x)} {number(self.height - y)}{DOT}" for x, y in points]
            stroke = _color("stroke", rgbFace, "s", gc.get_alpha())
            ends = f'stroke-linecap="round" stroke-width="{number(2 * radius)}"'
            self._add(f'<path d="{"".join(dots)}" {ends}{stroke}/>')
        else:
            shapes = []
            for x, y in points:
                shapes.append(self._data(marker_path, marker_trans + _moved(x, y)))
            for data in shapes if each else ["".join(shapes)]:
                self._add(f'<path d="{data}"{_paint(gc, rgbFace)}/>')

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: "FontProperties",
        angle: float,
        ismath: Any = False,
        mtext: "Text | None" = None,
    ) -> None:
        anchor = "start"
        if mtext is not None and (angle == 0 or mtext.get_rotation_mode() == "anchor"):
            # Browsers have other fonts than matplotlib: the text is held where it is aligned.
            x, y = self._anchored(x, y, angle, mtext)
            anchor = {"left": "start", "center": "middle", "right": "end"}[mtext.get_ha()]
        place = f'x="{number(x)}" y="{number(y)}" font-size="{number(prop.get_size_in_points())}"'
        if anchor != "start":
            place += f' text-anchor="{anchor}"'
        if angle:
            place += f' transform="rotate({number(-angle)} {number(x)} {number(y)})"'
        if prop.get_weight() == "bold":
            place += ' font-weight="600"'
        color = _color("fill", gc.get_rgb(), "f", gc.get_alpha())
        self._add(f"<text {place}{color}>{escape(s, quote=False)}</text>")

    def _anchored(self, x: float, y: float, angle: float, text: "Text") -> tuple[float, float]:
        """Where a line of text is aligned: its anchor, moved across the line to the line's height."""
        anchor = text.get_transform().transform(text.get_unitless_position())
        turned = np.deg2rad(angle)
        across = np.array([np.sin(turned), np.cos(turned)])
        start = np.array([anchor[0], self.height - anchor[1]])
        moved = start + np.dot(across, np.array([x, y]) - start) * across
        return float(moved[0]), float(moved[1])

    def _add(self, element: str) -> None:
        """Appends an element, with the next note of its group, if there is one."""
        notes = self._group_notes[-1] if self._group_notes else []
        if not notes:
            self.parts.append(element)
            return
        note = notes.pop(0)
        name = element[1 : element.index(" ")]
        whole = f"{element.removesuffix('/>')}><title>{escape(note.text, quote=False)}</title></{name}>"
        if note.link:
            whole = f'<a href="{escape(note.link)}">{whole}</a>'
        self.parts.append(whole)

    def _data(self, path: Path, transform: Transform) -> str:
        """The path's data, with relative lines."""
        parts: list[str] = []
        here = start = (0.0, 0.0)
        for points, code in path.iter_segments(transform, simplify=False):
            if code == Path.CLOSEPOLY:
                parts.append("z")
                here = start
                continue
            places = []
            for x, y in np.reshape(points, (-1, 2)):
                # Rounded before the differences are taken, so that errors do not add up.
                places.append((round(float(x), 1), round(self.height - float(y), 1)))
            if code == Path.MOVETO:
                start = places[0]
                parts.append(f"M{number(start[0])} {number(start[1])}")
            elif code == Path.LINETO:
                parts.append(_step(here, places[0]))
            else:
                letter = "Q" if code == Path.CURVE3 else "C"
                parts.append(letter + " ".join(f"{number(x)} {number(y)}" for x, y in places))
            here = places[-1]
        return "".join(parts)


def _step(here: tuple[float, float], to: tuple[float, float]) -> str:
    right, down = to[0] - here[0], to[1] - here[1]
    if number(down) == "0":
        return f"h{number(right)}"
    if number(right) == "0":
        return f"v{number(down)}"
    return f"l{number(right)} {number(down)}"


def _moved(x: float, y: float) -> Transform:
    from matplotlib.transforms import Affine2D

    return Affine2D().translate(x, y)


def _paint(gc: GraphicsContextBase, face: Any) -> str:
    """Fill and stroke as attributes; palette colors as classes."""
    alpha = gc.get_alpha() if gc.get_forced_alpha() else None
    fill = "" if face is None else _color("fill", face, "f", alpha)
    stroke = ""
    if gc.get_linewidth() > 0 and gc.get_rgb()[3] > 0:
        stroke = _color("stroke", gc.get_rgb(), "s", alpha)
        stroke += f' stroke-width="{number(gc.get_linewidth())}"'
        _, dashes = gc.get_dashes()
        if dashes is not None:
            stroke += f' stroke-dasharray="{" ".join(map(number, dashes))}"'
    crisp = "" if gc.get_antialiased() else ' shape-rendering="crispEdges"'
    both = fill + stroke
    if fill.startswith(' class="') and stroke.startswith(' class="'):
        first, _, rest = fill.removeprefix(' class="').partition('"')
        second, _, others = stroke.removeprefix(' class="').partition('"')
        both = f' class="{first} {second}"{rest}{others}'
    return both + crisp


def _color(attribute: str, rgba: Any, prefix: str, alpha: float | None) -> str:
    name = NAMES.get(to_hex(rgba))
    paint = f' {attribute}="{to_hex(rgba)}"' if name is None else f' class="{prefix}-{name}"'
    opacity = alpha if alpha is not None else (rgba[3] if len(rgba) == 4 else 1.0)
    return paint if opacity >= 1 else f'{paint} {attribute}-opacity="{opacity:.2g}"'
