"""Cells of CSV files that a spreadsheet would take for formulas.

A text that begins with = + - @, a tab or a carriage return gets an apostrophe before it, as OWASP
advises ("CSV injection"). Numbers are no text and stay as they are.
"""

import re
from typing import Any

FORMULA = re.compile(r"'*[=+\-@\t\r]")


def neutral(cell: Any) -> Any:
    """The cell as it is written."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def original(cell: str) -> str:
    """The text of a written cell."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
