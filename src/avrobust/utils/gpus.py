"""GPUs shared among the jobs of a sweep.

Each job computes on a GPU that is free, not on the one that its number says.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from avrobust.utils.system import keep_freed_memory

POLL = 0.5  # seconds between two looks for a free GPU


@contextmanager
def lease(accelerator: str, *, shared: bool, jobs_per_gpu: int = 1) -> Iterator[torch.device]:
    """The device to compute on: the CPU, the first GPU, or a free one where jobs share the GPUs.

    A lease is a lock in the temporary folder, which the kernel gives back when its process dies.

    Args:
        accelerator: the trainer's; "cpu" leaves GPUs alone.
        shared: whether other jobs of the sweep compute on this machine at the same time.
        jobs_per_gpu: how many of them may share one GPU.
    """
    if accelerator == "cpu" or not torch.cuda.is_available():
        keep_freed_memory()
        yield torch.device("cpu")
    elif not shared:
        yield torch.device("cuda", 0)
    else:
        lock, index = _wait(torch.cuda.device_count(), jobs_per_gpu)
        try:
            yield torch.device("cuda", index)
        finally:
            torch.cuda.empty_cache()  # the next job on this GPU may live in another process
            lock.release()


def _wait(gpus: int, jobs_per_gpu: int) -> tuple[FileLock, int]:
    """The first free place, the least shared GPUs first."""
    folder = Path(tempfile.gettempdir()) / "avrobust-gpus"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    while True:
        for slot in range(jobs_per_gpu):
            for index in range(gpus):
                lock = FileLock(folder / f"{index}-{slot}.lock", mode=0o666)
                try:
                    lock.acquire(blocking=False)
                except Timeout:
                    continue
                return lock, index
        time.sleep(POLL)
