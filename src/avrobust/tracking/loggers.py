"""Where a run can be followed beside its own files: the group `logger`. No number depends on it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, final

from avrobust.experiments.config import build
from avrobust.experiments.runs import Run

if TYPE_CHECKING:  # a finished run is shown without Lightning
    from pytorch_lightning.loggers import Logger

Config = Mapping[str, Any]


class Tracker(ABC):
    """One option of the group. A run that is tracked again goes on where it stood."""

    @abstractmethod
    def curves(self, run: Run, config: Config) -> "AbstractContextManager[Logger]":
        """What Lightning writes the run's learning curves to while it trains."""

    @abstractmethod
    def publish(self, run: Run, config: Config) -> None:
        """Shows a finished run's numbers, unless they are shown already."""


@final
class InFolder(Tracker):
    """One of Lightning's own loggers that writes into the run's folder. An evaluation's numbers lie there anyway."""

    def __init__(self, writer: Callable[..., Any]) -> None:
        self.writer = writer

    @contextmanager
    def curves(self, run: Run, config: Config) -> "Iterator[Logger]":
        yield self.writer(save_dir=run.folder)

    def publish(self, run: Run, config: Config) -> None:
        """Nothing: the run's folder holds its numbers."""


def tracker(config: Config) -> Tracker | None:
    """The one that the config chooses, refused early if it cannot be had."""
    return build("logger", config["logger"]) if config["logger"] else None


@contextmanager
def curves(config: Config, run: Run) -> "Iterator[list[Logger]]":
    """The loggers of one training: one or none."""
    chosen = tracker(config)
    if chosen is None:
        yield []
        return
    with chosen.curves(run, config) as logger:
        yield [logger]


def publish(config: Config, run: Run) -> None:
    """Shows a finished run where the config says."""
    if chosen := tracker(config):
        chosen.publish(run, config)
