"""Where a run can be followed beside its own files: the group `logger`. No number depends on it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, final

from avrobust.experiments.build import build
from avrobust.experiments.runs import Run
from avrobust.experiments.settings import Experiment
from avrobust.utils.arguments import CheckedArguments

if TYPE_CHECKING:  # a finished run is shown without Lightning
    from pytorch_lightning.loggers import Logger


class Tracker(CheckedArguments, ABC):
    """One option of the group. A run that is tracked again goes on where it stood."""

    @abstractmethod
    def curves(self, run: Run, experiment: Experiment) -> "AbstractContextManager[Logger]":
        """What Lightning writes the run's learning curves to while it trains."""

    @abstractmethod
    def publish(self, run: Run, experiment: Experiment) -> None:
        """Shows a finished run's numbers, unless they are shown already."""


@final
class InFolder(Tracker):
    """One of Lightning's own loggers that writes into the run's folder.

    An evaluation's numbers are in that folder anyway, so that `publish` does nothing.

    Args:
        writer: makes the logger from the folder, `save_dir`.
    """

    def __init__(self, writer: Callable[..., Any]) -> None:
        self.writer = writer

    @contextmanager
    def curves(self, run: Run, experiment: Experiment) -> "Iterator[Logger]":
        yield self.writer(save_dir=run.folder)

    def publish(self, run: Run, experiment: Experiment) -> None:
        """Nothing: the run's folder holds its numbers."""


def build_tracker(experiment: Experiment) -> Tracker | None:
    """The tracker that was chosen; None if none was.

    Raises:
        UserError: it cannot be had, for example because nobody is logged in.
    """
    logger = experiment.execution.logger
    return build("logger", logger) if logger else None


@contextmanager
def curves(experiment: Experiment, run: Run) -> "Iterator[list[Logger]]":
    """The loggers of one training: one or none."""
    tracker = build_tracker(experiment)
    if tracker is None:
        yield []
        return
    with tracker.curves(run, experiment) as logger:
        yield [logger]


def publish(experiment: Experiment, run: Run) -> None:
    """Shows a finished run where the user wants it."""
    if tracker := build_tracker(experiment):
        tracker.publish(run, experiment)
