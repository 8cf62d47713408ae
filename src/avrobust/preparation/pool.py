"""Calls a function for many jobs in worker processes, and loses only the job of a worker that dies.

concurrent.futures stops all workers when one dies, and does not report which job was the cause.
pebble reports a worker that exits with status 0 as hung, and only after the full time limit.
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

from avrobust.errors import UserError

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


READY = "ready"  # the first message of a process

TIME_TO_START = 300  # seconds in which a process must have loaded its code

# Why a process has ended, by the signal that has ended it.
REASONS = {
    "SIGALRM": "decoding takes too long",
    "SIGKILL": "decoder was killed, perhaps for lack of memory",
}


class _UnreadableJob(NamedTuple):
    """The message of a process that cannot unpickle its job."""

    reason: str


class WorkerFailure(NamedTuple):
    """Takes the place of the result when the worker process of a job died or was stopped."""

    reason: str


def map_unordered(
    function: Callable[[JobT], ResultT],
    jobs: Sequence[JobT],
    *,
    workers: int,
    time_limit: Callable[[JobT], float],
    initializer: Callable[[], None] | None = None,
    replace_after: Callable[[ResultT], bool] = lambda _: False,
    on_running: Callable[[list[JobT]], None] = lambda _: None,
    preload: Sequence[str] = (),
) -> Iterator[tuple[JobT, ResultT | WorkerFailure]]:
    """Yields each job with its result, in the order in which the jobs finish.

    If the iteration is left early, all processes are stopped at once. If the parent process is
    killed, the workers end as well.

    Args:
        function: A function at the top level of a module.
        jobs: The arguments of the calls. Jobs and results must be picklable.
        workers: Number of processes.
        time_limit: Seconds after which a job counts as hung and its process is stopped.
        initializer: Called once in each process, before its first job.
        replace_after: Whether the process that gave a result does no further job. A job that has
            used up the memory of its process may have left too little for the next.
        on_running: Called with the running jobs whenever they change.
        preload: Slow modules. They are imported once for all processes where the platform allows
            it.

    Raises:
        Exception: Whatever the function raises. It ends the run.
        UserError: The processes cannot be started, or cannot load their code.
    """
    crew: list[_Worker[JobT, ResultT]] = []
    waiting = deque(jobs)
    try:
        context = _process_context(preload)
        crew.extend(_Worker(function, initializer, context) for _ in range(min(workers, len(jobs))))
        while waiting or any(worker.busy for worker in crew):
            for worker in crew:
                if waiting and not worker.busy:
                    job = waiting.popleft()
                    worker.start_job(job, time_limit(job))
            on_running([worker.job for worker in crew if worker.job is not None])
            yield from _wait_for_results(crew, replace_after)
    finally:
        for worker in crew:
            worker.stop()


def _process_context(preload: Sequence[str]) -> Any:
    # A fork server imports slow modules once and forks without threads, which is faster than a new
    # interpreter for each worker. Windows has only the latter.
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *preload])
    return context


def _wait_for_results(
    crew: "list[_Worker[JobT, ResultT]]", replace_after: Callable[[ResultT], bool]
) -> Iterator[tuple[JobT, ResultT | WorkerFailure]]:
    """Waits until a job finishes, crashes or reaches its time limit, and yields the results."""
    busy = [worker for worker in crew if worker.busy]
    timeout = min(worker.deadline for worker in busy) - time.monotonic()
    ready = wait([worker.pipe for worker in busy], timeout=max(0.0, timeout))
    for worker in busy:
        if worker.pipe in ready:
            yield worker.receive_result(replace_after)
        elif time.monotonic() > worker.deadline:
            yield worker.fail_job("decoder hung")


@final
class _Worker(Generic[JobT, ResultT]):
    """A process and its job. A process that has died is replaced."""

    def __init__(
        self,
        function: Callable[[JobT], ResultT],
        initializer: Callable[[], None] | None,
        context: Any,
    ) -> None:
        self.function = function
        self.initializer = initializer
        self.context = context
        self.job: JobT | None = None
        self.deadline = 0.0
        self._start_process()

    @property
    def busy(self) -> bool:
        return self.job is not None

    def _start_process(self) -> None:
        self.pipe, worker_pipe = self.context.Pipe()
        self.process = self.context.Process(
            target=_work, args=(self.function, self.initializer, worker_pipe), daemon=True
        )
        self.ready = False
        self.process.start()
        # Without a copy of this end in the parent, the pipe closes when the process dies.
        worker_pipe.close()

    def start_job(self, job: JobT, time_limit: float) -> None:
        """Sends a job to the process."""
        if not self.process.is_alive():
            self.stop()
            self._start_process()
        self._wait_until_ready()
        self.job = job
        self.deadline = time.monotonic() + time_limit
        self.pipe.send(job)

    def _wait_until_ready(self) -> None:
        """Waits for the process to load its code.

        Raises:
            UserError: It cannot.
        """
        try:
            if not self.ready and not self.pipe.poll(TIME_TO_START):
                raise EOFError
            while not self.ready:
                self.ready = self.pipe.recv() == READY
        except (EOFError, OSError):
            raise _code_error("it ends at once") from None

    def receive_result(
        self, replace_after: Callable[[ResultT], bool]
    ) -> tuple[JobT, ResultT | WorkerFailure]:
        """Returns the finished job with its result.

        Raises:
            Exception: Whatever the function raised.
            UserError: The process and this one have not loaded the same code.
        """
        try:
            result = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return self.fail_job(_reason(self.process.exitcode or 0))
        # Whatever else may be wrong with a pickle.
        except Exception as error:
            raise _code_error(error) from error
        if isinstance(result, ImportError | _UnreadableJob):
            raise _code_error(result)
        if isinstance(result, WorkerFailure):
            return self.fail_job(result.reason)
        if isinstance(result, Exception):
            raise result
        if replace_after(result):
            self.stop()
            self._start_process()
        return self._take_job(), result

    def fail_job(self, reason: str) -> tuple[JobT, WorkerFailure]:
        """Replaces the process and returns its job as failed."""
        self.stop()
        self._start_process()
        return self._take_job(), WorkerFailure(reason)

    def _take_job(self) -> JobT:
        job, self.job = self.job, None
        assert job is not None
        return job

    def stop(self) -> None:
        """Kills the process, whatever it is doing."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _reason(exit_code: int) -> str:
    """Why a process has ended; its code is negative if a signal has ended it."""
    for number in signal.Signals:
        if number == -exit_code:
            return REASONS.get(number.name, "decoder crashed")
    return "decoder crashed"


def _code_error(reason: object) -> UserError:
    return UserError(
        f"a worker process cannot load its code ({reason}); "
        "if avrobust or a library was being changed, run the same command again"
    )


def _work(
    function: Callable[[JobT], ResultT],
    initializer: Callable[[], None] | None,
    pipe: "Connection[Any, Any]",
) -> None:
    """The main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Decoders print messages about damaged files, which would break the progress bar.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if initializer is not None:
        initializer()
    pipe.send(READY)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        # Whatever may be wrong with a pickle.
        except Exception as error:
            pipe.send(_UnreadableJob(str(error)))
            return
        try:
            pipe.send(function(job))
        # The next job gets a new process: what this one has allocated is not all given back.
        except MemoryError:
            pipe.send(WorkerFailure("needs too much memory: see --max-memory"))
            return
        except Exception as error:
            pipe.send(error)


def _end_with_parent() -> None:
    """Ends this process when the parent dies, so that a killed run writes no more files."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
