import time
from pathlib import Path

import pytest

from avrobust.preparation.pool import WorkerFailure, map_unordered
from avrobust.preparation.prepare import (
    PRELOAD,
)  # whoever is first decides what all processes of this test run share
from tests.data.jobs import limit, work


def run(jobs: list[str]) -> dict[str, str | WorkerFailure]:
    return dict(map_unordered(work, jobs, workers=2, time_limit=limit, preload=PRELOAD))


@pytest.mark.parametrize("workers", [1, 3])
def test_every_job_is_done_once(workers: int) -> None:
    jobs = [f"job {i}" for i in range(20)]
    done = list(map_unordered(work, jobs, workers=workers, time_limit=limit, preload=PRELOAD))
    assert sorted(done) == sorted((job, job.upper()) for job in jobs)


def test_a_crash_costs_one_job() -> None:
    jobs = ["a", "crash 1", "b", "crash 2", "c", "exit", "d"]
    results = run(jobs)
    assert {
        job for job, result in results.items() if result == WorkerFailure("decoder crashed")
    } == {
        "crash 1",
        "crash 2",
        "exit",
    }
    assert all(results[job] == job.upper() for job in "abcd")


def test_a_hang_costs_one_job() -> None:
    begin = time.monotonic()
    results = run(["a", "hang", "b"])
    assert results == {"a": "A", "hang": WorkerFailure("decoder hung"), "b": "B"}
    assert time.monotonic() - begin < 50


def test_an_exception_ends_the_run() -> None:
    with pytest.raises(ValueError, match="raise it"):
        run(["a", "raise it", "b"])


def test_leaving_early_ends_the_workers(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for _ in map_unordered(
        work, ["a", f"linger {mark}"], workers=2, time_limit=limit, preload=PRELOAD
    ):
        break
    time.sleep(1.5)
    assert not mark.exists()


def test_what_runs_is_told() -> None:
    seen: list[list[str]] = []
    assert (
        len(
            list(
                map_unordered(
                    work,
                    ["a", "b"],
                    workers=1,
                    time_limit=limit,
                    on_running=seen.append,
                    preload=PRELOAD,
                )
            )
        )
        == 2
    )
    assert ["a"] in seen
    assert ["b"] in seen
