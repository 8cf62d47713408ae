"""Colors and line widths of matplotlib as attributes of SVG: theme colors are classes."""

from typing import Any

from matplotlib.backend_bases import GraphicsContextBase
from matplotlib.colors import to_hex

from avrobust.charts.paths import coordinate
from avrobust.charts.style import PALETTE

NAMES = {shades.light: name for name, shades in PALETTE.items()}


def paint(gc: GraphicsContextBase, face: Any) -> str:
    """Fill and stroke of an element.

    Args:
        gc: color, width and dashes of the stroke.
        face: color of the fill; None leaves it empty.
    """
    classes: list[str] = []
    attributes = ""
    alpha = gc.get_alpha() if gc.get_forced_alpha() else None
    if face is not None:
        attributes += color("fill", face, alpha, classes)
    if gc.get_linewidth() > 0 and gc.get_rgb()[3] > 0:
        attributes += color("stroke", gc.get_rgb(), alpha, classes)
        attributes += f' stroke-width="{coordinate(gc.get_linewidth())}"'
        dashes: Any = gc.get_dashes()[1]
        if dashes is not None:
            attributes += f' stroke-dasharray="{" ".join(coordinate(dash) for dash in dashes)}"'
    return class_attribute(classes) + attributes


def color(attribute: str, rgba: Any, alpha: float | None, classes: list[str]) -> str:
    """The attributes of a color; a color of the theme is appended to the classes instead.

    Args:
        attribute: fill or stroke.
        rgba: as matplotlib has it.
        alpha: takes the place of the color's own opacity, if there is one.
        classes: of the element.
    """
    text = ""
    name = NAMES.get(to_hex(rgba))
    if name is None:
        text = f' {attribute}="{to_hex(rgba)}"'
    else:
        classes.append(f"{attribute[0]}-{name}")
    opacity = alpha
    if opacity is None:
        opacity = rgba[3] if len(rgba) == 4 else 1.0
    if opacity < 1:
        text += f' {attribute}-opacity="{f"{opacity:.2g}".removeprefix("0")}"'
    return text


def class_attribute(classes: list[str]) -> str:
    """The attribute that holds the classes, if there are any."""
    return f' class="{" ".join(classes)}"' if classes else ""
