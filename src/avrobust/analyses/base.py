"""What every analysis of a finished run declares."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar


class Analysis(ABC):
    """Computes something more of a finished run; `avrobust <name> RUN` runs it.

    Attributes:
        name: The command.
        help: What the command does, in one line.
        settings: A frozen dataclass. Its fields are the command's options: each has a type, a
            default and `field(metadata={"help": ...})`. Its constructor raises ValueError for a
            value that makes no sense, in a message that begins with the name of the field.
        several: Whether the command takes several runs.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    settings: ClassVar[type[Any]]
    several: ClassVar[bool] = False

    @abstractmethod
    def run(self, folder: Path, settings: Any) -> None:
        """Analyzes the run in a folder, writes its files there and prints what came out."""
