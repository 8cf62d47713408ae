"""Pictures side by side, on paper alone: a page shows the images themselves."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from avrobust.charts.figure import Chart, ChartPanel
from avrobust.charts.notes import Notes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL_SIZE = 1.5  # inches on paper


class Picture(NamedTuple):
    """An image with its title, which may have several lines."""

    title: str
    image: Image.Image


def picture_chart(title: str, pictures: Sequence[Picture], columns: int) -> Chart:
    """Draws pictures in a grid. The chart can be saved, and has no HTML.

    Args:
        title: what the pictures have in common.
        pictures: one at least, in reading order.
        columns: pictures side by side.
    """
    panels = []
    content = []
    lines = 1
    for one in pictures:
        panels.append(ChartPanel(one.title, partial(_draw, one.image)))
        content.append((one.title, hashlib.sha256(one.image.tobytes()).hexdigest()))
        lines = max(lines, one.title.count("\n") + 1)
    height = PANEL_SIZE + 0.12 * lines
    return Chart(title, content, panels, (), PANEL_SIZE, height, columns, same_y=False)


def _draw(image: Image.Image, axes: "Axes", notes: Notes) -> None:
    axes.imshow(image)
    axes.set_axis_off()
