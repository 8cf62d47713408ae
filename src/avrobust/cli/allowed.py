"""The packages that a command line allows: `allow=[my_lab]` of the scripts."""

from collections.abc import Sequence

KEY = "allow="


def typed_packages(words: Sequence[str]) -> list[str]:
    """The packages that the words of a script's command line allow.

    Hydra's composed config is not asked: a file in a folder of options, or the values of a sweep,
    could allow what the user did not.
    """
    packages = []
    for word in words:
        if word.lstrip("+").startswith(KEY):
            _, _, value = word.partition("=")
            packages += [name.strip(" '\"") for name in value.strip("[]").split(",")]
    return [name for name in packages if name]
