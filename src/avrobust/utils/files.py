"""Atomic writing of files: a reader sees the old file or the complete new one."""

import hashlib
import os
import re
import socket
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avrobust.utils.system import process_alive

HASH_LENGTH = 16  # characters
TEMPORARY = re.compile(r"\..+\.(?P<pid>\d+)(@(?P<host>.+))?")  # older versions wrote no host
DAMAGED = ".damaged"  # suffix of what is set aside
ABANDONED = 24 * 3600  # seconds after which a file that another host was writing is a leftover


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
    is not forced to the disk (no fsync): a power failure may lose it. What a killed process leaves,
    `remove_leftovers` removes.

    Args:
        path: The file to write. Its folder must exist.

    Raises:
        OSError: The file cannot be written, for example to a full disk. It names `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}@{socket.gethostname()}")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files of `atomic_write` that nobody writes any more.

    They are those of processes of this host that are gone, and the old ones of other hosts.

    Args:
        folder: The one whose files are looked at; it may be missing.
    """
    for path in leftovers(folder):
        path.unlink(missing_ok=True)


def leftovers(folder: Path) -> list[Path]:
    """The temporary files in a folder that nobody writes any more."""
    abandoned = []
    for path in folder.glob(".*"):
        match = TEMPORARY.fullmatch(path.name)
        if match and path.is_file() and not _being_written(path, int(match["pid"]), match["host"]):
            abandoned.append(path)
    return abandoned


def _being_written(path: Path, pid: int, host: str | None) -> bool:
    if host in (None, socket.gethostname()):
        return process_alive(pid)
    try:
        return time.time() - path.stat().st_mtime < ABANDONED
    except FileNotFoundError:  # it has just taken its place
        return True


def zip_problem(path: Path) -> str | None:
    """Why a zip archive, such as `torch.save` writes, cannot be used; None if it is whole.

    Args:
        path: of the file. What is no file (a folder, a FIFO) is not opened.

    Raises:
        OSError: the file may not be read.
    """
    if not os.path.lexists(path):
        return "missing"
    if not path.is_file():
        return "not a file"
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                damaged = archive.testzip()  # compares the checksum of every tensor
        except Exception as error:  # zipfile raises many kinds for a damaged archive
            return f"damaged ({' '.join(str(error).split()) or type(error).__name__})"
    return f"damaged ({damaged})" if damaged else None


def set_aside(path: Path) -> None:
    """Renames what cannot be used to a free name: `<name>.damaged`, `<name>.damaged2` and so on.

    Args:
        path: of a file, a folder or anything else.
    """
    aside = path.with_name(path.name + DAMAGED)
    number = 2
    while os.path.lexists(aside):
        aside = path.with_name(f"{path.name}{DAMAGED}{number}")
        number += 1
    path.rename(aside)


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
