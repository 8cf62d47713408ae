"""Atomic writing of files: a reader sees the old file or the complete new one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Writes a file, not atomically.

    Libraries that write files themselves often do not say which file failed, or why.

    Raises:
        OSError: The file cannot be written; the error names the file.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
