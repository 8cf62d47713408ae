"""The end of a sweep: its table, what failed and why, and the exit status."""

import json
from pathlib import Path

from avrobust.experiments import sweeps
from avrobust.experiments.sweeps import Job
from avrobust.report.status import describe
from avrobust.utils.console import err, out


def conclude() -> int:
    """Prints what the sweep of this process came to, if it began one. 1 if any job is not done, else 0."""
    if sweeps.current is None:
        return 0
    sweep = sweeps.current
    jobs = sweep.progress()
    _print_tables(sweep.name, jobs)
    unfinished = [job for job in jobs if job.state != "done"]
    out.print(
        f"{sweep.name}: {len(jobs) - len(unfinished)} of {len(jobs)} jobs done ({sweep.folder})",
        markup=False,
    )
    for job in unfinished:
        err.print(describe(job), style="red", markup=False)
    return 1 if unfinished else 0


def _print_tables(name: str, jobs: list[Job]) -> None:
    """The tables that the sweep is for, or one of all its attacks, from this sweep's runs alone.

    The undefended rows that a sweep of `defend.py` compares with belong to it.
    """
    from avrobust.report.collect import collect
    from avrobust.report.scores import Scores
    from avrobust.report.tables import overview, tables
    from avrobust.report.write import markdown

    folders = [
        Path(job.folder) for job in jobs if job.folder and Path(job.folder).parent.name != "train"
    ]
    if not folders:
        return
    results = [
        json.loads((folder / "result.json").read_text(encoding="utf-8")) for folder in folders
    ]
    wanted = {r["run_id"] for r in results} | {
        r["against"]["run_id"] for r in results if "against" in r
    }
    root = folders[0].parent.parent
    runs = collect(root)
    mine = runs[runs["run_id"].isin(wanted)]
    found = [table for table in tables(mine, Scores(root)) if table.name == name]
    for table in found or [overview(mine, f"Attacks of this sweep ({name})")]:
        out.print(markdown(table), markup=False)
