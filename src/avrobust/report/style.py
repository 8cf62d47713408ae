"""What the figures on paper have in common: colors that the color-blind can tell apart, one style, two formats."""

import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 200
MADE_OF = "Source"  # the PNG keyword under which a figure keeps a hash of its content

# Okabe and Ito's colors, which the color-blind can tell apart; marks and hatches tell the same in
# gray.
CURVES = {
    "concat": ("#0072B2", "o"),
    "audio_only": ("#D55E00", "s"),
    "visual_only": ("#009E73", "^"),
}
BARS: dict[str, tuple[str, str]] = {
    "clean": ("#BBBBBB", ""),
    "audio": ("#D55E00", "//"),
    "visual": ("#009E73", "\\\\"),
    "audiovisual": ("#0072B2", ""),
}
# One a class; those of the same color have another mark. The yellow is too pale on white.
CLASSES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A7F00")
MARKS = ("o", "^", "s", "x")
STYLE: Any = {  # matplotlib types the names of its settings one by one
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.4,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # text stays text
    "svg.hashsalt": "avrobust",
}


Wanted = tuple[str, Any, Callable[[Any], "Figure"]]  # a file's name, what is shown, how it is drawn


def save_all(wanted: Iterable[Wanted], folder: Path) -> None:
    """Writes NAME.pdf and NAME.png of each; without a window, and without touching the user's own settings.

    A figure that is there already, of the same content drawn by the same code, is left as it is.
    """
    for name, content, draw in wanted:
        # Names from disk become plain file names.
        path = folder / "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
        digest = hashlib.sha256(f"{_code()} {name} {content!r}".encode()).hexdigest()
        if (
            path.with_name(f"{path.name}.pdf").is_file()
            and _digest(path.with_name(f"{path.name}.png")) == digest
        ):
            continue
        import matplotlib

        with matplotlib.rc_context({"backend": "agg", **STYLE}):
            _save(draw(content), path, digest)


@cache
def _code() -> str:
    """What draws: matplotlib and the modules beside this one."""
    digest = hashlib.sha256(version("matplotlib").encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _digest(path: Path) -> str:
    """What the figure in a PNG file was made of."""
    try:
        with Image.open(path) as image:
            return str(image.info.get(MADE_OF))
    except OSError:
        return ""


def _save(figure: "Figure", path: Path, digest: str) -> None:
    """Without a date, so that the same runs make the same file; the PNG last, as it says that both are there.

    By the canvases themselves, which draw once each: savefig draws twice.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.set_dpi(DPI)
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib's canvases are not typed
    canvas.draw()
    pixels = np.array(canvas.buffer_rgba())  # before the PDF changes the figure's resolution
    figure.set_layout_engine("none")  # it stays as it is now laid out
    on_paper: Any = FigureCanvasPdf(figure)
    on_paper.print_pdf(path.with_name(f"{path.name}.pdf"), metadata={"CreationDate": None})
    png = path.with_name(f"{path.name}.png")
    Image.fromarray(pixels).convert("RGB").save(png, dpi=(DPI, DPI), pnginfo=_noted(digest))


def _noted(digest: str) -> PngInfo:
    info = PngInfo()
    info.add_text(MADE_OF, digest)
    return info
