"""Leases without GPUs: what matters is who gets which number, and when."""

import ctypes
import subprocess
import sys
import tempfile
import threading
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch

from avrobust.utils import gpus as gpu
from avrobust.utils.system import side_by_side


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(gpu, "POLL", 0.01)


@pytest.mark.usefixtures("two_gpus")
def test_jobs_side_by_side_get_gpus_of_their_own_and_the_next_waits_for_a_free_one() -> None:
    taken: list[int] = []
    with gpu.lease("auto", shared=True) as first:
        with gpu.lease("auto", shared=True) as second:
            assert {first.index, second.index} == {0, 1}
            third = threading.Thread(target=lambda: taken.append(lease_once()))
            third.start()
            third.join(0.2)
            assert not taken
        third.join(5)
        assert taken == [second.index]  # whatever its number, the one that became free


def lease_once() -> int:
    with gpu.lease("auto", shared=True) as device:
        return int(device.index)


@pytest.mark.usefixtures("two_gpus")
def test_two_jobs_on_each_gpu_if_asked_the_empty_one_first() -> None:
    def lease() -> AbstractContextManager[torch.device]:
        return gpu.lease("auto", shared=True, jobs_per_gpu=2)

    with lease() as a, lease() as b, lease() as c, lease() as d:
        assert [x.index for x in (a, b, c, d)] == [0, 1, 0, 1]


@pytest.mark.usefixtures("two_gpus")
def test_a_job_alone_takes_the_first_and_waits_for_nobody() -> None:
    with gpu.lease("auto", shared=True), gpu.lease("auto", shared=False) as device:
        assert device == torch.device("cuda", 0)


@pytest.mark.usefixtures("two_gpus")
def test_the_cpu_is_not_leased() -> None:
    with gpu.lease("cpu", shared=True) as device:
        assert device.type == "cpu"


@pytest.mark.parametrize(
    ("visible", "per_gpu", "jobs"), [("0,1,2", 1, 3), ("0", 2, 2), ("GPU-1a,GPU-2b", 1, 2)]
)
def test_a_job_for_each_visible_gpu(
    visible: str, per_gpu: int, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert side_by_side(per_gpu) == jobs


@pytest.mark.parametrize(("cores", "jobs"), [(1, 2), (2, 2), (16, 8)])
def test_without_a_gpu_a_job_for_every_two_cores(
    cores: int, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert side_by_side(1) == jobs


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="glibc's allocator is meant"
)
def test_a_cpu_run_keeps_freed_memory_for_the_next_tensors() -> None:
    """In a process of its own: once set, the setting stays."""
    code = """
import resource, torch
from avrobust.utils.gpus import lease
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(1_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
before = faults()
with lease("cpu", shared=False):
    faults()
    print(before, faults())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after < max(100, before / 10)  # of 20,000 where pages are of 4 KiB
