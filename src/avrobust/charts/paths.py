"""Paths of matplotlib as the path data of SVG, as short as it can be written."""

import numpy as np
from matplotlib.path import Path
from matplotlib.transforms import Transform

Position = tuple[float, float]


def coordinate(value: float) -> str:
    """A coordinate with one decimal, as short as possible."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def path_data(path: Path, transform: Transform, height: float) -> str:
    """Writes a path with relative lines.

    Args:
        path: in any coordinates.
        transform: to points, with y upwards.
        height: of the figure in points; SVG's y goes downwards.
    """
    parts: list[str] = []
    here = start = (0.0, 0.0)
    for points, code in path.iter_segments(transform, simplify=False):
        if code == Path.CLOSEPOLY:
            parts.append("z")
            here = start
            continue
        places: list[Position] = []
        for x, y in np.reshape(points, (-1, 2)):
            # Rounded before the differences are taken, so that errors do not add up.
            places.append((round(float(x), 1), round(height - float(y), 1)))
        if code == Path.MOVETO:
            start = places[0]
            parts.append(f"M{coordinate(start[0])} {coordinate(start[1])}")
        elif code == Path.LINETO:
            parts.append(_line(here, places[0]))
        else:
            parts.append(_curve("Q" if code == Path.CURVE3 else "C", places))
        here = places[-1]
    return "".join(parts)


def _line(here: Position, there: Position) -> str:
    right, down = coordinate(there[0] - here[0]), coordinate(there[1] - here[1])
    if down == "0":
        return f"h{right}"
    if right == "0":
        return f"v{down}"
    return f"l{right} {down}"


def _curve(letter: str, places: list[Position]) -> str:
    return letter + " ".join(f"{coordinate(x)} {coordinate(y)}" for x, y in places)
