"""Names from disk as text that any font and any file can hold."""

ELLIPSIS = "…"
CHARACTER_WIDTH = 0.57  # of a usual letter, as a share of the text's size
UNKNOWN = "\ufffd"  # the usual sign for a character that cannot be shown


def plain(text: str) -> str:
    """Replaces control characters and halves of surrogate pairs; line breaks stay."""
    characters = []
    for character in text:
        if character == "\n" or character.isprintable():
            characters.append(character)
        else:
            characters.append(" " if character.isspace() else UNKNOWN)
    return "".join(characters)


def shortened(text: str, length: int) -> str:
    """Plain text in one line of at most `length` characters."""
    line = " ".join(plain(text).split())
    return line if len(line) <= length else line[: length - 1] + ELLIPSIS


def line_length(width: float, size: float) -> int:
    """How many characters fit into a line.

    Args:
        width: of the line, in points.
        size: of the text, in points.
    """
    return int(width / (CHARACTER_WIDTH * size))


def shortened_lines(text: str, length: int) -> str:
    """Plain text whose lines have at most `length` characters each."""
    return "\n".join(shortened(line, length) for line in text.split("\n"))
