"""The one exception that a user is meant to read, and how it names the choices."""

from difflib import get_close_matches


class UserError(Exception):
    """Bad input; the exit status is 2.

    The message is one line that names the file or key and says what to do.
    """


def did_you_mean(name: str, choices: list[str]) -> str:
    """The end of a sentence about an unknown name: the nearest choice, and all of them."""
    if not choices:
        return "; there is none to set here"
    near = get_close_matches(name, choices, n=1)
    return (f"; did you mean {near[0]}?" if near else ";") + f" choices: {', '.join(choices)}"
