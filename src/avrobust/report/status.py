"""How far a sweep is, in lines."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

from avrobust.experiments.result_files import FILE, ResultError, read_result
from avrobust.experiments.sweeps import Job, State, Sweep

SHOWN: tuple[State, ...] = ("done", "running", "failed", "interrupted", "left")


def lines(sweep: Sweep) -> list[str]:
    """What of a sweep is done, running, failed (with the reason) and left, and when it will end."""
    jobs = [_checked(job) for job in sweep.progress()]
    count = Counter(job.state for job in jobs)
    states = ", ".join(f"{count[state]} {state}" for state in SHOWN if count[state])
    found = [f"{sweep.folder.name}: {len(jobs)} jobs, {states}{_ending(jobs)}"]
    for job in jobs:
        if job.state in ("running", "failed", "interrupted"):
            found.append(f"  {describe(job)}")
    return found


def describe(job: Job) -> str:
    """One line on a job that is not done."""
    reason = f": {job.reason}" if job.reason else ""
    return f"job {job.number + 1} {job.state} ({' '.join(job.overrides)}){reason}"


def _checked(job: Job) -> Job:
    """The job; failed if the result of its run has been damaged since."""
    if job.state != "done":
        return job
    try:
        read_result(Path(job.folder))
    except ResultError as error:
        return job._replace(state="failed", reason=f"{job.folder}/{FILE}: {error}")
    return job


def _ending(jobs: list[Job]) -> str:
    """An estimate of the time left; empty where nothing runs.

    It takes the mean time of the jobs done so far, and as many jobs at once as run now.
    """
    took = [job.seconds for job in jobs if job.state == "done"]
    running = sum(job.state == "running" for job in jobs)
    if not took or not running:
        return ""
    todo = sum(job.state in ("left", "running") for job in jobs)
    return f"; ends in about {timedelta(seconds=round(todo * sum(took) / len(took) / running))}"
