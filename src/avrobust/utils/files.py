"""Atomic writing of files: a reader sees the old file or the complete new one."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HASH_LENGTH = 16  # characters


def file_hash(path: Path) -> str:
    """Hash of a file's content: the beginning of its SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:HASH_LENGTH]


# By hand, as the package `atomicwrites` is no longer maintained.
@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which is renamed to `path` when the block ends.

    If the block raises, the temporary file is removed and `path` stays as it was. Each process has
    a temporary path of its own, so two processes may write the same file; the last one wins. Data
    is not forced to the disk (no fsync): a power failure may lose it.

    Args:
        path: The file to write. Its folder must exist.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
