"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yields where to write a file; it takes its place once it is finished, and never if writing it failed."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    yield aside
    aside.replace(path)
