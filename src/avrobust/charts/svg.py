"""Draws matplotlib figures as small SVG for the page.

Matplotlib's own SVG has fixed colors, global styles and ids that clash when several figures stand
in one page, and is two to three times as large. This renderer writes theme colors as classes, no
ids, one decimal, and the notes of marks.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backend_bases import GraphicsContextBase, RendererBase
from matplotlib.path import Path
from matplotlib.transforms import Affine2D, Transform

from avrobust.charts.notes import Note
from avrobust.charts.paint import class_attribute, color, paint
from avrobust.charts.paths import coordinate, path_data
from avrobust.charts.text import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.text import Text

DOT = "h0"  # a line of length 0 with a round end is the shortest way to write a dot
MESH = "QuadMesh"  # matplotlib's name for the group of a heat map's cells
ANCHORS = {"left": "", "center": ' text-anchor="middle"', "right": ' text-anchor="end"'}


def figure_svg(figure: "Figure", notes: Mapping[str, Sequence[Note]], label: str) -> str:
    """Renders a figure, laid out already, as the text of one <svg> element.

    Args:
        figure: of any size at 72 dots an inch, so that its points are the units of the SVG.
        notes: by the gid of an artist: one note for each of its marks, or one for all of them.
        label: what a screen reader calls the chart.
    """
    renderer = SvgRenderer(figure.bbox.width, figure.bbox.height, notes)
    figure.draw(renderer)
    width, height = coordinate(figure.bbox.width), coordinate(figure.bbox.height)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" fill="none" '
        f'aria-label="{escape(plain(label))}">{"".join(renderer.parts)}</svg>'
    )


class SvgRenderer(RendererBase):
    """Collects the elements of an SVG.

    It ignores clipping, as the charts' limits hold their data.
    """

    def __init__(self, width: float, height: float, notes: Mapping[str, Sequence[Note]]) -> None:
        super().__init__()
        self.width, self.height = width, height
        self.parts: list[str] = []
        self._notes = notes
        self._open: list[list[Note]] = []  # notes of the open groups that have no mark yet

    def get_canvas_width_height(self) -> tuple[float, float]:
        return self.width, self.height

    def points_to_pixels(self, points: Any) -> Any:
        return points

    def open_group(self, s: str, gid: str | None = None) -> None:
        self._open.append(list(self._notes.get(gid or "", ())))
        if s == MESH:  # without seams between its cells
            self.parts.append('<g shape-rendering="crispEdges">')

    def close_group(self, s: str) -> None:
        self._open.pop()
        if s == MESH:
            self.parts.append("</g>")

    def draw_path(
        self, gc: GraphicsContextBase, path: Path, transform: Transform, rgbFace: Any = None
    ) -> None:
        data = path_data(path, transform, self.height)
        if data:
            self._add("path", f' d="{data}"{paint(gc, rgbFace)}')

    def draw_markers(
        self,
        gc: GraphicsContextBase,
        marker_path: Path,
        marker_trans: Transform,
        path: Path,
        trans: Transform,
        rgbFace: Any = None,
    ) -> None:
        if marker_path.codes is not None and Path.CURVE4 in np.asarray(marker_path.codes):
            radius = float(np.abs(marker_trans.transform(marker_path.vertices)).max())
            self._draw_circles(gc, radius, path, trans, rgbFace)
            return
        shapes = []
        for (x, y), _ in path.iter_segments(trans, simplify=False):
            moved = marker_trans + Affine2D().translate(x, y)
            shapes.append(path_data(marker_path, moved, self.height))
        if len(self._open[-1]) <= 1:
            shapes = ["".join(shapes)]
        for shape in shapes:
            self._add("path", f' d="{shape}"{paint(gc, rgbFace)}')

    def _draw_circles(
        self, gc: GraphicsContextBase, radius: float, path: Path, trans: Transform, face: Any
    ) -> None:
        """Draws each circle by itself if each has a note, and all as one path otherwise."""
        each = len(self._open[-1]) > 1
        dots = []
        for (x, y), _ in path.iter_segments(trans, simplify=False):
            across, down = coordinate(x), coordinate(self.height - y)
            dots.append(f"M{across} {down}{DOT}")
            if each:
                place = f' cx="{across}" cy="{down}" r="{coordinate(radius)}"'
                self._add("circle", place + paint(gc, face))
        if not each:
            classes: list[str] = []
            stroke = color("stroke", face, gc.get_alpha(), classes)
            stroke += f' stroke-width="{coordinate(2 * radius)}" stroke-linecap="round"'
            self._add("path", f' d="{"".join(dots)}"{class_attribute(classes)}{stroke}')

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
        anchor = ""
        if mtext is not None and (angle == 0 or mtext.get_rotation_mode() == "anchor"):
            # Browsers have other fonts than matplotlib: the text is held where it is aligned.
            x, y = self._anchored(x, y, angle, mtext)
            anchor = ANCHORS[mtext.get_horizontalalignment()]
        size = coordinate(prop.get_size_in_points())
        place = f' x="{coordinate(x)}" y="{coordinate(y)}" font-size="{size}"'
        if angle:
            anchor += f' transform="rotate({coordinate(-angle)} {coordinate(x)} {coordinate(y)})"'
        classes: list[str] = []
        fill = color("fill", gc.get_rgb(), gc.get_alpha(), classes)
        content = escape(s, quote=False)
        self.parts.append(f"<text{place}{anchor}{class_attribute(classes)}{fill}>{content}</text>")

    def _anchored(self, x: float, y: float, angle: float, text: "Text") -> tuple[float, float]:
        """Where a text is aligned: its anchor, moved across the line to the line's height."""
        anchor = text.get_transform().transform(text.get_unitless_position())
        turned = np.deg2rad(angle)
        across = np.array([np.sin(turned), np.cos(turned)])
        start = np.array([anchor[0], self.height - anchor[1]])
        moved = start + np.dot(across, np.array([x, y]) - start) * across
        return float(moved[0]), float(moved[1])

    def _add(self, name: str, attributes: str) -> None:
        """Appends an element, with the next note of its group, if there is one."""
        notes = self._open[-1] if self._open else []
        if not notes:
            self.parts.append(f"<{name}{attributes}/>")
            return
        note = notes.pop(0)
        title = f"<title>{escape(plain(note.text), quote=False)}</title>"
        element = f"<{name}{attributes}>{title}</{name}>"
        if note.link:
            element = f'<a href="{escape(plain(note.link))}">{element}</a>'
        self.parts.append(element)
