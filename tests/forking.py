"""Programs run in forks of one process that has imported the slow libraries already.

A Python process that evaluates or trains spends seconds on imports before its first line of work.
Where a test is about the work and not about the start, `start` and `run` take the place of
`subprocess.Popen` and `subprocess.run`: the server imports once, forks for every program, and the
fork ends as any program does, with its exit handlers, its traceback and its exit status.

By default the server imports libraries alone and nothing of ours, so that a program begins with our
modules unloaded. Run as a script, this file is the server.
"""

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Self

LIBRARIES = (
    "hydra",
    "pandas",
    "pydantic",
    "pytorch_lightning",
    "rich.progress",
    "scipy.signal",
    "sklearn.metrics",
    "soundfile",
    "torch.utils.data",
    "torchmetrics.classification",
    "torchvision.models",
)
# Libraries read these when they are loaded. One thread: a fork must not inherit a pool of them.
SETTINGS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
LARGEST_REQUEST = 2**17


class Process:
    """A program in a fork of the server, with what the tests need of `subprocess.Popen`."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        modules: tuple[str, ...] = LIBRARIES,
    ) -> None:
        self.args = list(arguments)
        self.returncode: int | None = None
        self._files = (tempfile.TemporaryFile(), tempfile.TemporaryFile())  # noqa: SIM115
        self._outputs: list[str] = []
        status, theirs = os.pipe()
        request = {"argv": self.args, "cwd": str(cwd), "env": dict(env)}
        descriptors = [*(file.fileno() for file in self._files), theirs]
        socket.send_fds(_server(modules), [json.dumps(request).encode()], descriptors)
        os.close(theirs)
        self._status: BinaryIO = os.fdopen(status, "rb", buffering=0)
        self.pid = int(self._status.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()

    def poll(self) -> int | None:
        """The exit status, that of a signal negative; None while the program runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once there is one.

        Raises:
            subprocess.TimeoutExpired: the program still runs after `timeout` seconds.
        """
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that the program wrote to standard output and to standard error."""
        self.wait(timeout)
        return self._outputs[0], self._outputs[1]

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = int(self._status.readline())
            self._status.close()
            for file in self._files:
                file.seek(0)
                self._outputs.append(file.read().decode())
                file.close()
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Signals the program, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends the program at once."""
        self.send_signal(signal.SIGKILL)


def start(
    *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Process:
    """Starts what `python ARGUMENTS...` would start: a script with its arguments, or `-c` and code.

    Args:
        *arguments: as they would follow `python`.
        cwd: the program's working folder; the current one if None.
        env: the program's whole environment; the current one if None.
    """
    return Process(arguments, cwd=cwd or Path.cwd(), env=os.environ if env is None else env)


def run(
    *arguments: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    modules: tuple[str, ...] = LIBRARIES,
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end; see `start`.

    Args:
        *arguments: as they would follow `python`.
        cwd: the program's working folder; the current one if None.
        env: the program's whole environment; the current one if None.
        timeout: in seconds.
        modules: what the server has imported. Another choice starts another server.

    Raises:
        subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was killed.
    """
    cwd, env = cwd or Path.cwd(), os.environ if env is None else env
    with Process(arguments, cwd=cwd, env=env, modules=modules) as process:
        stdout, stderr = process.communicate(timeout)
        return subprocess.CompletedProcess(process.args, process.wait(), stdout, stderr)


@cache
def _server(modules: tuple[str, ...]) -> socket.socket:
    """The connection to this process' server that has imported these modules.

    The server starts when it is first needed and ends with this process.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno()), *modules],
        pass_fds=[theirs.fileno()],
        env={**os.environ, **SETTINGS},
        stdin=subprocess.DEVNULL,
    )
    theirs.close()

    def stop() -> None:
        ours.close()
        process.wait()

    atexit.register(stop)
    return ours


def _serve(connection: socket.socket) -> dict[str, Any]:
    """Answers requests until the tests are over.

    It comes back in each fork that is to run a program, with its request.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is pytest's to handle
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the watchers
    gc.freeze()  # a collection in a fork would copy the pages of all that is loaded
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, LARGEST_REQUEST, 3)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            connection.close()
            return _watched(json.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _watched(request: dict[str, Any], stdout: int, stderr: int, status: int) -> dict[str, Any]:
    """Forks once more: one process comes back to run the program.

    The other process reports its pid and its exit status.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        os.write(status, f"{child}\n".encode())
        _, ended = os.waitpid(child, 0)
        os.write(status, f"{os.waitstatus_to_exitcode(ended)}\n".encode())
        os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    for descriptor in (stdout, stderr, status):
        os.close(descriptor)
    return request


def _become(request: dict[str, Any]) -> None:
    """Does what `python ARGV...` does in the request's folder and environment."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    # Python reads PYTHONPATH at its start alone, and this process has started.
    sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    first, *rest = request["argv"]
    if first == "-c":
        code, *rest = rest
        sys.argv[:], sys.path[0] = ["-c", *rest], ""
        exec(code, {"__name__": "__main__"})
    else:
        sys.argv[:], sys.path[0] = [first, *rest], str(Path(first).resolve().parent)
        runpy.run_path(first, run_name="__main__")


def _finish(error: BaseException | None) -> NoReturn:
    """Ends a fork as Python ends a program, but for freeing the memory of all that was imported."""
    status: object = 0
    if isinstance(error, SystemExit):
        status = error.code or 0
    elif error is not None:
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    if not isinstance(status, int):
        sys.stderr.write(f"{status}\n")
        status = 1
    # The two steps with which `multiprocessing` ends its forks.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)


def _main() -> None:
    descriptor, *libraries = sys.argv[1:]
    for library in libraries:
        import_module(library)
    request = _serve(socket.socket(fileno=int(descriptor)))
    error = None
    try:
        _become(request)
    except BaseException as raised:
        error = raised
    _finish(error)


if __name__ == "__main__":
    _main()
