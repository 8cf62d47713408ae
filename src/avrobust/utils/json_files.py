"""Reading JSON that another program, a damaged disk or a stranger may have written."""

import json
import math
from pathlib import Path
from typing import Any

LARGEST = 64_000_000  # bytes; a result of ten thousand unreadable clips has two million
DEEPEST = 40  # levels of nesting; what reads the values calls itself for each


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no regular file, no JSON, too large or nested too deeply, or holds a
            number that is not finite. The text is the reason in one line.
    """
    if not path.is_file():  # nobody writes to the other end of a pipe
        raise ValueError("not a file")
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f"{size} bytes, at most {LARGEST} are read")
    text = path.read_text(encoding="utf-8")
    try:
        content = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check_depth(content, DEEPEST)
    return content


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is not a finite number")
    return value


def _check_depth(content: Any, levels: int) -> None:
    if levels == 0:
        raise ValueError("nested too deeply")
    if isinstance(content, dict):
        content = content.values()
    elif not isinstance(content, list):
        return
    for item in content:
        if isinstance(item, dict | list):
            _check_depth(item, levels - 1)
        elif isinstance(item, int) and abs(item) > 2**63:
            raise ValueError(f"a number of {len(str(item))} digits")
