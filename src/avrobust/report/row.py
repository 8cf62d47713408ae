"""One attack's row on the console: ours with its intervals, and the paper's beside it."""

from pathlib import Path
from statistics import fmean

from rich.box import SIMPLE_HEAD
from rich.table import Table

from avrobust.experiments.result_files import folder_of
from avrobust.experiments.results import Comparison, EvaluationResult, Result, TrainResult
from avrobust.experiments.sources import Stale, stale
from avrobust.report.notes import STALE, notes
from avrobust.report.paper import Published, published
from avrobust.utils.console import out, print_table


def print_result(result: Result, runs: Path) -> None:
    """Prints what a run found, and its folder, which may have moved since the run was made."""
    staleness = stale(result, result.experiment, runs)
    if isinstance(result, TrainResult):
        _print_training(result, staleness)
    else:
        _print_row(result, staleness)
    out.print(str(folder_of(runs, result.task, result.run_id)), markup=False)


def title(result: EvaluationResult) -> str:
    """What was attacked and how, in a line."""
    model, settings = result.experiment.model, result.settings
    defended = f" + {model.defense.name}" if model.defended else ""
    attack = f"{result.attack_name}, threat {settings.threat.name}, eps {settings.eps:g}"
    split = f"{result.split_name} split"
    return f"{model.dataset.name}, {model.fusion.name}{defended}: {attack}, {split}"


def _print_training(result: TrainResult, staleness: Stale | None) -> None:
    best = f"best epoch {result.best_epoch} by {result.best_by} validation accuracy"
    heading = f"{result.run_id}, {result.epochs} epochs, {best}"
    table = Table("split", "accuracy %", "n", title=heading)
    for name, split in result.splits.items():
        table.add_row(name, f"{split.accuracy:.2f}", str(split.n))
    print_table(table)
    if staleness:
        out.print(f"{STALE} {staleness.mark}: {staleness.reason}", markup=False)


def _print_row(result: EvaluationResult, staleness: Stale | None) -> None:
    """An attack's row as a table, and what a reader has to know about it."""
    table = Table("", box=SIMPLE_HEAD, title=title(result), title_justify="left")
    # Avg 4 counts clean in, as the paper's Table 2 does.
    averages = ["Avg 3", "Avg 4"] if result.attacked else []
    for heading in (*(condition.title for condition in result.conditions), *averages, "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row(f"ours {STALE}" if staleness else "ours", *_accuracies(result), str(result.n))
    intervals = []
    for condition in result.conditions:
        accuracy = condition.accuracy
        intervals.append(f"{accuracy.low:.0f} to {accuracy.high:.0f}")
    table.add_row("95 %", *intervals)
    if result.comparison:
        _add_comparison(table, result, result.comparison)
    if row := published(result):
        table.add_row(f"paper, Table {row.table}", *_published(result, row))
    print_table(table)
    for note in notes(result, staleness):
        out.print(note, markup=False)


def _accuracies(result: EvaluationResult) -> list[str]:
    values = list(result.accuracy.values())
    if result.attacked:
        values += [result.average, result.average_with_clean]
    return [f"{value:.2f}" for value in values]


def _add_comparison(table: Table, result: EvaluationResult, comparison: Comparison) -> None:
    """The undefended model's row, and how sure the difference is on the same clips."""
    attacked = [comparison.accuracy[condition.name] for condition in result.attacked]
    clean = comparison.accuracy[result.clean.name]
    values = [comparison.accuracy[condition.name] for condition in result.conditions]
    values += [fmean(attacked), fmean([clean, *attacked])]
    table.add_row("undefended", *(f"{value:.2f}" for value in values))
    p_values = [comparison.p[condition.name] for condition in result.conditions]
    table.add_row("paired p", *(f"{p:.2g}" for p in p_values))


def _published(result: EvaluationResult, row: Published) -> list[str]:
    cells = []
    for condition in result.conditions:
        value = row.accuracy.get(condition.name)
        cells.append("" if value is None else f"{value:.2f}")
    return [*cells, f"{row.average:.2f}", f"{row.average_with_clean:.2f}"]
