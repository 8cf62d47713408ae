"""The look of charts, light and dark: colors, markers and sizes.

The color-blind can tell the colors apart.
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple

Color = Literal[
    "ink", "soft", "rule", "card", "blue", "orange", "green", "pink", "amber", "sky", "olive"
]


class Shades(NamedTuple):
    """One color on a light and on a dark background, as hex."""

    light: str
    dark: str


# The hues are those of Okabe and Ito (2008); "olive" stands for their yellow, which is too pale on
# white. No two light shades are equal: the page finds a color's name by its light shade.
PALETTE: dict[Color, Shades] = {
    "ink": Shades("#22262b", "#e3e4e6"),
    "soft": Shades("#667078", "#9aa2aa"),
    "rule": Shades("#e4e1da", "#33373d"),
    "card": Shades("#fefefe", "#1d2024"),
    "blue": Shades("#0072b2", "#62b4ea"),
    "orange": Shades("#d55e00", "#f0944d"),
    "green": Shades("#009e73", "#35c79d"),
    "pink": Shades("#cc79a7", "#e29fc6"),
    "amber": Shades("#e69f00", "#f2c14e"),
    "sky": Shades("#56b4e9", "#a6e1ff"),
    "olive": Shades("#8a7f00", "#b3a935"),
}


class Look(NamedTuple):
    """How one series is drawn. Marker, dashes and hatch tell series apart in gray print."""

    color: Color
    marker: str = "o"  # as in matplotlib
    dashes: str = "-"  # as in matplotlib
    hatch: str = ""  # of bars, on paper only


LOOKS = (
    Look("blue", "o"),
    Look("orange", "s", hatch="//"),
    Look("green", "^", hatch="\\\\"),
    Look("pink", "D", hatch=".."),
    Look("amber", "v", hatch="xx"),
    Look("sky", "P", hatch="--"),
    Look("ink", "X", hatch="||"),
    Look("olive", "*", hatch="++"),
)
NEUTRAL = Look("soft", "s", "--")  # what the other series are compared with
CLASS_MARKERS = ("o", "^", "s", "x")

PAPER_FONT = 7.5  # points
PAGE_FONT = 10.5  # pixels, where a panel is shown in its own size


def series_look(number: int) -> Look:
    """The look of the series at a place, counted from 0; they repeat after eight."""
    return LOOKS[number % len(LOOKS)]


def class_look(number: int) -> Look:
    """The look of the class at a place, counted from 0: classes of one color have other markers."""
    marker = CLASS_MARKERS[number // len(LOOKS) % len(CLASS_MARKERS)]
    return Look(LOOKS[number % len(LOOKS)].color, marker)


def light(color: Color) -> str:
    """The hex of a color on paper."""
    return PALETTE[color].light


def line_style(look: Look, line: bool = True) -> dict[str, Any]:
    """Arguments of matplotlib's Line2D.

    Args:
        look: of the series.
        line: whether a line is drawn, or markers alone.
    """
    color = light(look.color)
    # Markers with a thin edge in the background's color stay apart where curves cross.
    edge = color if look.marker == "x" else light("card")
    return {
        "color": color,
        "ls": look.dashes if line else "",
        "marker": look.marker,
        "markeredgecolor": edge,
    }


def settings(font: float) -> dict[str, Any]:
    """Settings of matplotlib.

    Args:
        font: size of the text, in points.
    """
    return {
        "backend": "agg",
        "font.size": font,
        "axes.titlesize": font,
        "axes.titlecolor": light("ink"),
        "axes.labelsize": font,
        "axes.labelcolor": light("soft"),
        "axes.labelpad": font * 0.3,
        "axes.edgecolor": light("soft"),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "axes.axisbelow": True,
        "grid.color": light("rule"),
        "grid.linewidth": 0.6,
        "xtick.color": light("soft"),
        "ytick.color": light("soft"),
        "xtick.labelsize": font * 0.92,
        "ytick.labelsize": font * 0.92,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": font * 0.3,
        "ytick.major.size": font * 0.3,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "hatch.linewidth": 0.4,
        "lines.linewidth": font * 0.16,
        "lines.markersize": font * 0.55,
        "lines.markeredgewidth": font * 0.06,
        "legend.frameon": False,
        "legend.fontsize": font,
        "legend.labelcolor": light("ink"),
        "pdf.fonttype": 42,  # text stays text
        "text.parse_math": False,  # names come from disk and may hold dollar signs
    }


def css() -> str:
    """Style sheet of the charts on the page, light and dark."""
    lights, darks, rules = [], [], []
    for name, shades in PALETTE.items():
        lights.append(f"--chart-{name}: {shades.light};")
        darks.append(f"--chart-{name}: {shades.dark};")
        rules.append(f".f-{name} {{ fill: var(--chart-{name}); }}")
        rules.append(f".s-{name} {{ stroke: var(--chart-{name}); }}")
    variables = f":root {{ {' '.join(lights)} }}\n"
    variables += f"@media (prefers-color-scheme: dark) {{ :root {{ {' '.join(darks)} }} }}\n"
    scoped = "\n".join(f".chart {rule}" for rule in rules)
    layout = (Path(__file__).parent / "charts.css").read_text(encoding="utf-8")
    return f"{variables}{layout}{scoped}\n"
