"""Files of charts. A chart is drawn again only if its content or the code behind it changed."""

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avrobust.utils.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.PngImagePlugin import PngInfo

DPI = 200
NAME_BYTES = 200  # of a file's name without its suffix
DIGEST_KEY = "Source"  # the PNG keyword under which a chart keeps the hash of its content


@contextmanager
def drawing(settings: Mapping[str, Any]) -> Iterator[None]:
    """Sets matplotlib up to draw without a window; on leaving, the user's own settings are back."""
    import matplotlib

    typed: Any = settings  # matplotlib types the names of its settings one by one
    with matplotlib.rc_context(typed), warnings.catch_warnings():
        # Class names may hold letters that matplotlib's font lacks: on paper they become boxes, and
        # the browser has other fonts.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        yield


def plain_name(name: str) -> str:
    """A name from disk as that of a file: other characters than the usual become underscores.

    A very long name ends with a hash, as file systems allow 255 bytes.
    """
    plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
    if len(plain.encode()) <= NAME_BYTES:
        return plain
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{plain[: NAME_BYTES // 4]}-{digest}"


def is_current(folder: Path, name: str, content: object) -> bool:
    """Whether both files of a chart are there, drawn from this content by this code."""
    pdf, png = folder / f"{name}.pdf", folder / f"{name}.png"
    return pdf.is_file() and _noted_digest(png) == _digest(name, content)


def write_files(figure: "Figure", folder: Path, name: str, content: object) -> None:
    """Writes NAME.pdf and NAME.png without a date, so that the same content makes the same bytes.

    The PNG is written last, as its hash says that both are there. The canvases draw once each,
    where savefig would draw twice.
    """
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    figure.set_dpi(DPI)
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib's canvases are not typed
    canvas.draw()
    pixels = np.array(canvas.buffer_rgba())  # before the PDF changes the figure's resolution
    figure.set_layout_engine("none")  # keeps the layout
    pdf_canvas: Any = FigureCanvasPdf(figure)
    with atomic_write(folder / f"{name}.pdf") as temporary:
        pdf_canvas.print_pdf(temporary, metadata={"CreationDate": None})
    image = Image.fromarray(pixels).convert("RGB")
    with atomic_write(folder / f"{name}.png") as temporary:
        image.save(temporary, "PNG", dpi=(DPI, DPI), pnginfo=_note(_digest(name, content)))


def _digest(name: str, content: object) -> str:
    return hashlib.sha256(f"{_code_digest()} {name} {content!r}".encode()).hexdigest()


@cache
def _code_digest() -> str:
    """A hash of what draws: matplotlib's version and the modules of this folder."""
    digest = hashlib.sha256(version("matplotlib").encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _noted_digest(png: Path) -> str:
    from PIL import Image

    try:
        with Image.open(png) as image:
            return str(image.info.get(DIGEST_KEY))
    except OSError:
        return ""


def _note(digest: str) -> "PngInfo":
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text(DIGEST_KEY, digest)
    return info
