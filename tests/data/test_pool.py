import time
from pathlib import Path

import pytest

from avrobust.preparation.pool import Lost, run_all
from avrobust.preparation.prepare import (
    PRELOAD,
)  # whoever is first decides what all processes of this test run share
from tests.data.jobs import limit, work


def run(jobs: list[str]) -> dict[str, str | Lost]:
    return dict(run_all(work, jobs, workers=2, limit=limit, preload=PRELOAD))


@pytest.mark.parametrize("workers", [1, 3])
def test_every_job_is_done_once(workers: int) -> None:
    jobs = [f"job {i}" for i in range(20)]
    done = list(run_all(work, jobs, workers=workers, limit=limit, preload=PRELOAD))
    assert sorted(done) == sorted((job, job.upper()) for job in jobs)


def test_a_crash_costs_one_job() -> None:
    jobs = ["a", "crash 1", "b", "crash 2", "c", "exit", "d"]
    found = run(jobs)
    assert {job for job, result in found.items() if result == Lost("decoder crashed")} == {
        "crash 1",
        "crash 2",
        "exit",
    }
    assert all(found[job] == job.upper() for job in "abcd")


def test_a_hang_costs_one_job() -> None:
    begin = time.monotonic()
    found = run(["a", "hang", "b"])
    assert found == {"a": "A", "hang": Lost("decoder hung"), "b": "B"}
    assert time.monotonic() - begin < 50


def test_an_exception_ends_the_run() -> None:
    with pytest.raises(ValueError, match="raise it"):
        run(["a", "raise it", "b"])


def test_leaving_early_ends_the_workers(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for _ in run_all(work, ["a", f"linger {mark}"], workers=2, limit=limit, preload=PRELOAD):
        break
    time.sleep(1.5)
    assert not mark.exists()


def test_what_runs_is_told() -> None:
    seen: list[list[str]] = []
    assert (
        len(
            list(
                run_all(
                    work, ["a", "b"], workers=1, limit=limit, watch=seen.append, preload=PRELOAD
                )
            )
        )
        == 2
    )
    assert ["a"] in seen
    assert ["b"] in seen
