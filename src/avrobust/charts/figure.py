"""A chart: for the page as HTML with inline SVG, for the paper as PDF and PNG."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, final

from markupsafe import Markup

from avrobust.charts.files import drawing, is_current, plain_name, write_files
from avrobust.charts.notes import Notes
from avrobust.charts.style import PAGE_FONT, PAPER_FONT, Look, settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ChartPanel(NamedTuple):
    """One pair of axes and how it is drawn."""

    title: str
    draw: Callable[["Axes", Notes], None]


class Key(NamedTuple):
    """One entry of a legend."""

    name: str
    look: Look
    line: bool = True  # a line with its marker; otherwise the marker alone


@final
@dataclass(frozen=True)
class Chart:
    """Panels side by side with one legend.

    Attributes:
        title: what the panels share; the heading on paper, the name for screen readers on the page.
        content: the values that are drawn. Their repr decides whether a file has to be drawn again.
        panels: in reading order.
        keys: the legend.
        width: of a panel on paper, in inches.
        height: of a panel on paper, in inches.
        columns: panels side by side on paper; the page breaks lines where it has to.
        same_y: whether the panels share their vertical axis.
    """

    title: str
    content: object
    panels: Sequence[ChartPanel]
    keys: Sequence[Key]
    width: float
    height: float
    columns: int
    same_y: bool = True

    def html(self) -> Markup:
        """Draws the chart for the page: a legend, and one SVG for each panel.

        The page has to hold `charts.style.css()` in its style sheet, and shows the title itself.
        """
        from avrobust.charts.page import chart_html

        with drawing(settings(PAGE_FONT)):
            return chart_html(self)

    def save(self, folder: Path, name: str) -> bool:
        """Writes NAME.pdf and NAME.png, unless they are there with the same content.

        Args:
            folder: is made if it is not there.
            name: may come from disk; what is no letter, digit, dot, dash or underscore becomes an
                underscore.

        Returns:
            Whether the files were written.
        """
        name = plain_name(name)
        content = (self.title, self.content, self.width, self.height, self.columns)
        if is_current(folder, name, content):
            return False
        from avrobust.charts.paper import paper_figure

        with drawing(settings(PAPER_FONT)):
            write_files(paper_figure(self), folder, name, content)
        return True
