"""Runs benchmarks on this machine and writes what they print into RESULTS.md.

    python benchmarks [NAME ...]

With names only those are run again; what RESULTS.md says of the others stays.
"""

import argparse
import ast
import os
import platform
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import psutil
import torch

from avrobust.utils.console import err

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "RESULTS.md"
NAMES = ("attacks", "hot", "memory", "sparse_coding", "loading", "training", "startup", "growth")
INTRODUCTION = """# Benchmarks

`make bench` writes this file: the output of each program in this folder, below its description.
The times of a ratio are taken in one process and in turns, so that a busy machine harms it least.
Seconds hold for this machine alone.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    given = parser.parse_args().names
    if unknown := set(given) - set(NAMES):
        parser.error(
            f"{', '.join(sorted(unknown))}: no such benchmark; choices: {', '.join(NAMES)}"
        )
    sections, failed = written(), []
    for name in given or NAMES:
        err.print(f"{name} ...")
        try:
            sections[name] = section(name)
        except subprocess.CalledProcessError as error:
            failed.append(f"{name} ended with status {error.returncode}")
        RESULTS.write_text(
            "\n".join([INTRODUCTION, *(sections[n] for n in NAMES if n in sections)]),
            encoding="utf-8",
        )
    sys.exit("; ".join(failed) or 0)


def section(name: str) -> str:
    """Runs one benchmark; what it says of itself, where it ran, what it printed."""
    script = FOLDER / f"{name}.py"
    busy = psutil.cpu_percent(interval=2)
    done = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, text=True, check=True)
    title, _, more = (
        ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or name
    ).partition("\n")
    return f"## {name}\n\n{title}\n{more.rstrip()}\n\n{machine(busy)}\n\n{done.stdout.strip()}\n"


def machine(busy: float) -> str:
    """In a line."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{date.today()}, {os.cpu_count()} cores ({platform.machine()}{gpu}), "
        f"{busy:.0f} % busy before the start, "
        f"Python {platform.python_version()}, torch {torch.__version__}."
    )


def written() -> dict[str, str]:
    """The sections that RESULTS.md has."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.is_file() else ""
    parts = re.split(r"^## (\w+)\n", text, flags=re.MULTILINE)[1:]
    return {
        name: f"## {name}\n{body.rstrip()}\n"
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


if __name__ == "__main__":
    main()
