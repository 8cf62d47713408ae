"""How the text of an option becomes a value, and a default value the text of `--help`."""

from collections.abc import Sequence
from typing import Any, get_origin

import cyclopts
from cyclopts import Token


def convert(hint: Any, tokens: Sequence[Token]) -> Any:
    """The value of one option.

    Like cyclopts' own conversion, with two differences: several values are separated by commas, as
    in a sweep, and a whole number has to be one (cyclopts rounds 1.5 to 2).

    Args:
        hint: The type of the option.
        tokens: The words that belong to it.

    Raises:
        ValueError: The text is not a whole number.
    """
    values = list(tokens)
    if get_origin(hint) is tuple:
        values = [token.evolve(value=part) for token in tokens for part in token.value.split(",")]
    if hint is int and not values[0].value.removeprefix("-").isdecimal():
        raise ValueError(f'"{values[0].value}" is not a whole number')
    return cyclopts.convert(hint, values)


def default_text(value: object) -> str | None:
    """The default value as it would be typed; None, which shows nothing, if it needs no typing."""
    if value is None or value is False or value == ():
        return None
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value)
