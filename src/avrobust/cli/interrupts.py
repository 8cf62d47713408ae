"""Ctrl-C: one line and exit status 130, whatever it interrupts.

`avrobust.cli` arranges this for its programs when it is first imported, as most of the time before
the first line of work goes into imports.
"""

import atexit
import os
import signal
import sys
import threading
import warnings
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn

STATUS = 130
_received = False


def watch_for_ctrl_c() -> None:
    """Notes Ctrl-C from now on, and ends a program that does not catch it in one line."""
    sys.excepthook = _show_error
    on_main_thread = threading.current_thread() is threading.main_thread()
    if on_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _note)
        # The last thing to run: freeing what was imported takes a while, and is nothing to stop.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def interrupted() -> bool:
    """Whether Ctrl-C was pressed. What it interrupts may raise another error in its place."""
    return _received


def end_interrupted() -> int:
    """Says that Ctrl-C ended the program; its exit status. A second Ctrl-C ends it at once."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _end_at_once)
    if int(os.environ.get("LOCAL_RANK", 0)):  # DDP's first process says it
        return STATUS
    warnings.simplefilter("ignore")  # of files that stay open, and the like
    program = Path(sys.argv[0]).name
    sys.stderr.write(f"{program}: interrupted; the same command goes on where this one stopped\n")
    return STATUS


def _note(number: int, frame: FrameType | None) -> None:
    global _received
    _received = True
    signal.default_int_handler(number, frame)


def _end_at_once(*_: object) -> NoReturn:
    os._exit(STATUS)


def _show_error(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """What Python does with an error that nobody caught."""
    if _received or isinstance(error, KeyboardInterrupt):
        status = end_interrupted()
        sys.stderr.flush()
        os._exit(status)
    sys.__excepthook__(kind, error, traceback)
