"""What the machine is told and asked without torch.

It is asked how many jobs can run side by side, and told who keeps freed memory.
"""

import ctypes
import multiprocessing
import os
import signal
import threading
import time
from functools import cache
from pathlib import Path

LOOK_EVERY = 0.5  # seconds between two looks at whether the parent is there


def side_by_side(per_gpu: int) -> int:
    """`per_gpu` on each visible GPU; without any, one for every two cores, but two at least."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = (
        visible.split(",")
        if visible is not None
        else list(Path("/proc/driver/nvidia/gpus").glob("*"))
    )
    count = len([gpu for gpu in gpus if str(gpu).strip() not in ("", "-1")])
    return count * max(1, per_gpu) or max(2, (os.cpu_count() or 1) // 2)


def process_alive(pid: int) -> bool:
    """Whether a process of this host runs."""
    if pid <= 0:  # no process has it; os.kill would ask about a group of them
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


@cache
def end_with_parent() -> None:
    """Ends this process by SIGKILL, from now on, when the process that started it is gone.

    A worker of `multiprocessing` or loky would else work on, or wait for minutes for more work.
    Linux could send a signal (PR_SET_PDEATHSIG), but does so already when the thread ends that
    started the worker. In a process that is no such worker nothing happens.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        threading.Thread(target=_watch, args=(parent.pid,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGKILL)


def keep_freed_memory() -> None:
    """Lets the C library keep the memory of freed tensors for the next ones.

    This holds in this process from now on. By default glibc gives every large tensor back to the
    system, which then fills the next one with zeros page by page: a tenth of the time of an attack
    on a CPU. Other C libraries are left as they are.
    """
    no_mmap, trim_threshold = -4, -1  # M_MMAP_MAX, M_TRIM_THRESHOLD of malloc.h
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt:
        mallopt(no_mmap, 0)
        mallopt(trim_threshold, 2**31 - 1)
