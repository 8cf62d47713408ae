"""What the processes of test_pool.py do; here, so that they need not import pytest."""

import os
import signal
import time
from pathlib import Path


def work(job: str) -> str:
    """Does what its job says."""
    if job.startswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if job.startswith("exit"):
        os._exit(0)
    if job.startswith("hang"):
        time.sleep(60)
    if job.startswith("raise"):
        raise ValueError(job)
    if job.startswith("linger "):
        time.sleep(1.0)
        Path(job.removeprefix("linger ")).touch()
    return job.upper()


def limit(job: str) -> float:
    return 1.0 if job.startswith("hang") else 60.0
