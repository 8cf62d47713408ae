"""Runs one function over many jobs in processes of their own, so that one that crashes or hangs costs its job alone.

concurrent.futures gives up the whole pool when a process dies, and does not say which job killed
it.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, NamedTuple, TypeVar, final

J = TypeVar("J")
R = TypeVar("R")


class Lost(NamedTuple):
    """What stands for the result of a job whose process did not live to give one."""

    reason: str


def run_all(
    function: Callable[[J], R],
    jobs: Sequence[J],
    *,
    workers: int,
    limit: Callable[[J], float],
    watch: Callable[[list[J]], None] = lambda _: None,
    preload: Sequence[str] = (),
) -> Iterator[tuple[J, R | Lost]]:
    """Yields each job with its result, in the order in which they finish; leaving early ends all processes.

    Args:
        function: A module-level function. What it raises is raised here and ends the run.
        jobs: Its arguments; they and the results must pickle.
        workers: How many processes.
        limit: The seconds after which a job counts as hung and is ended.
        watch: Called with the running jobs whenever these change.
        preload: Slow modules, imported once for all processes where the platform can do that.
    """
    crew: list[_Worker[J, R]] = []
    waiting = deque(jobs)
    try:
        context = _context(preload)
        crew = [_Worker(function, context) for _ in range(min(workers, len(jobs)))]
        while waiting or any(worker.busy for worker in crew):
            for worker in crew:
                if waiting and not worker.busy:
                    job = waiting.popleft()
                    worker.give(job, limit(job))
            watch([worker.job for worker in crew if worker.job is not None])
            yield from _collect(crew)
    finally:
        for worker in crew:
            worker.end()


def _context(preload: Sequence[str]) -> Any:
    # A server that imports once and forks without threads beats fresh interpreters; Windows has
    # only those.
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *preload])
    return context


def _collect(crew: "list[_Worker[J, R]]") -> Iterator[tuple[J, R | Lost]]:
    """Waits until something happens, then yields what has finished."""
    busy = [worker for worker in crew if worker.busy]
    patience = min(worker.deadline for worker in busy) - time.monotonic()
    ready = wait([worker.pipe for worker in busy], timeout=max(0.0, patience))
    for worker in busy:
        if worker.pipe in ready:
            yield worker.take()
        elif time.monotonic() > worker.deadline:
            yield worker.give_up("decoder hung")


@final
class _Worker(Generic[J, R]):
    """One process and the job it has; a process that died is replaced."""

    def __init__(self, function: Callable[[J], R], context: Any) -> None:
        self.function = function
        self.context = context
        self.job: J | None = None
        self.deadline = 0.0
        self._start()

    @property
    def busy(self) -> bool:
        return self.job is not None

    def _start(self) -> None:
        self.pipe, theirs = self.context.Pipe()
        self.process = self.context.Process(
            target=_serve, args=(self.function, theirs), daemon=True
        )
        self.process.start()
        theirs.close()  # so that the pipe ends when the process does

    def give(self, job: J, seconds: float) -> None:
        """Starts a job."""
        if not self.process.is_alive():
            self.end()
            self._start()
        self.job = job
        self.deadline = time.monotonic() + seconds
        self.pipe.send(job)

    def take(self) -> tuple[J, R | Lost]:
        """The finished job with its result.

        Raises:
            Exception: what the function raised.
        """
        try:
            result = self.pipe.recv()
        except (EOFError, OSError):
            return self.give_up("decoder crashed")
        if isinstance(result, Exception):
            raise result
        return self._done(), result

    def give_up(self, reason: str) -> tuple[J, Lost]:
        """Ends the process and counts its job as lost."""
        self.end()
        self._start()
        return self._done(), Lost(reason)

    def _done(self) -> J:
        job, self.job = self.job, None
        assert job is not None
        return job

    def end(self) -> None:
        """Ends the process at once, whatever it is doing."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(function: Callable[[J], R], pipe: "Connection[Any, Any]") -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_follow_parent, daemon=True).start()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)  # libraries' chatter about bad files would tear the progress bar
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(function(job))
        except Exception as error:
            pipe.send(error)


def _follow_parent() -> None:
    """A killed run must not leave writers behind."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
