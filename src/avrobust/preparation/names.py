"""File names that any text file, file system and decoder can hold, from whatever names there are.

A name may hold every byte but "/" and NUL: line breaks, other control characters, bytes that are
not UTF-8. Ordinary names are kept as they are.
"""

import hashlib
import unicodedata

# Control characters, bytes that are not UTF-8 (as surrogates), separators of lines and paragraphs.
UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})

LONGEST = 255  # bytes of a name on the usual file systems
_HASH_LENGTH = 12  # characters that take the place of the end of a name that is too long


def printable(name: str) -> str:
    r"""The name in one line of UTF-8, for the manifest and for messages.

    Unprintable characters and backslashes become Python's escapes (`\r`, `\udcff`). Different names
    stay different.
    """
    characters = []
    for character in name:
        if character == "\\" or unicodedata.category(character) in UNPRINTABLE:
            character = character.encode("unicode_escape").decode("ascii")
        characters.append(character)
    return "".join(characters)


def safe_name(name: str, ending: str = "") -> str:
    """A name for a file or folder of the prepared layout; ordinary names are kept.

    Different names may become equal.

    Args:
        name: The name.
        ending: What will be added to it; the two together are at most `LONGEST` bytes.
    """
    safe = printable(name).replace("\\", "%")
    most = LONGEST - len(ending.encode())
    content = safe.encode()
    if len(content) <= most:
        return safe
    digest = hashlib.sha256(content).hexdigest()[:_HASH_LENGTH]
    return content[: most - _HASH_LENGTH].decode(errors="ignore") + digest


def collision_key(name: str) -> str:
    """Equal for names that some file systems take for one: in case or in Unicode's composition."""
    decomposed = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFC", decomposed)
