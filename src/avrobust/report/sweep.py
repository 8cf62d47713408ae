"""The end of a sweep: its table, what failed and why, and the exit status."""

from collections.abc import Sequence
from pathlib import Path

from avrobust.errors import UserError
from avrobust.experiments import sweeps
from avrobust.experiments.sweeps import Job
from avrobust.report.status import describe
from avrobust.utils.console import err, out


def conclude() -> int:
    """Prints what the sweep of this process came to, if it began one.

    Returns:
        1 if any job is not done, else 0.
    """
    if sweeps.current is None:
        return 0
    sweep = sweeps.current
    jobs = sweep.progress()
    _print_tables(sweep.name, jobs)
    unfinished = [job for job in jobs if job.state != "done"]
    done = len(jobs) - len(unfinished)
    out.print(f"{sweep.name}: {done} of {len(jobs)} jobs done ({sweep.folder})", markup=False)
    for job in unfinished:
        err.print(describe(job), style="red", markup=False)
    return 1 if unfinished else 0


def _print_tables(name: str, jobs: Sequence[Job]) -> None:
    """The tables that the sweep is for, or one of all its attacks, from this sweep's runs alone.

    The undefended rows that a sweep of `defend.py` compares with belong to it.
    """
    from avrobust.report.load import (
        load,
    )  # pandas and the tables, which a finished row does not need
    from avrobust.report.scores import Scores
    from avrobust.report.tables import overview, tables
    from avrobust.report.write import markdown

    folders = [Path(job.folder) for job in jobs if job.folder]
    attacks = [folder for folder in folders if folder.parent.name != "train"]
    if not attacks:
        return
    wanted = {folder.name for folder in attacks}
    try:
        runs = load(attacks[0].parent.parent)
    except UserError as error:  # none of the results can be read any more
        err.print(str(error), style="red", markup=False)
        return
    for entry in runs.entries:
        comparison = entry.result.comparison
        if entry.run_id in wanted and comparison:
            wanted.add(comparison.run_id)
    own = runs.only(wanted)
    scores = Scores()
    shown = [table for table in tables(own, scores) if table.name == name]
    for table in shown or [overview(own, scores, f"Attacks of this sweep ({name})")]:
        out.print(markdown(table), markup=False)
