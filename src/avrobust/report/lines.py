"""Lines of tables: our numbers, the differences from the published ones, and notes on them."""

from collections.abc import Sequence

from avrobust.experiments.settings import UNDEFENDED
from avrobust.report.load import RunEntry
from avrobust.report.paper import Published
from avrobust.report.rows import Row
from avrobust.report.scores import (
    CLEAN_AND_AVERAGE,
    ClipMeasure,
    PairedTest,
    Scores,
    Side,
    paired_test,
    undefended_side,
)
from avrobust.report.table import OUTSIDE, Line, Text, accuracy_text, gain_text, number_text
from avrobust.types import ConditionInfo

P_NOTE = (
    "p and the interval of RI: against the undefended model on the same clips, each clip's mean "
    "over the seeds, sign-flip permutation test and bootstrap over clips. They say nothing of "
    "models trained from other seeds, for which ± gives the standard deviation over the seeds."
)
STALE_NOTE = (
    "other code, other weights: code or weights have changed since the run was computed; its "
    "command computes it again. unknown code: the run does not say which code made it."
)
NESTED_NOTE = (
    "An attack counts the clips that an attack within its budgets fools (xA and xV within xAV); "
    "where that changed a number, the notes say what the attack alone leaves. The published "
    "numbers are of each attack alone."
)


def our_line(
    row: Row,
    labels: dict[str, Text],
    conditions: Sequence[ConditionInfo],
    most_seeds: int,
    gains: dict[str, Text],
    *,
    with_clean: bool = False,
    more: dict[str, Text] | None = None,
) -> Line:
    """A line of our own numbers.

    Args:
        row: the numbers.
        labels: the cells that say what the line is about.
        conditions: of the table.
        most_seeds: of any row of the table.
        gains: what `gain_texts` says of the row.
        with_clean: Avg counts the clean accuracy in.
        more: further cells.
    """
    run = row.runs[0]
    cells = {**labels, "source": Text("ours")}
    for condition in conditions:
        if condition.name in row.cells:
            cells[condition.title] = accuracy_text(row.cells[condition.name], run=run)
    if row.attacked:
        average = row.average_with_clean if with_clean else row.average
        cells["Avg"] = number_text(average, run=run)
    cells |= gains
    cells |= more or {}
    cells["n"] = Text(str(row.n), number=True)
    cells["seeds"] = Text(str(row.seeds), number=True)
    cells["notes"] = Text(_notes(row, most_seeds))
    return Line(cells, "ours", row.runs)


def gain_texts(row: Row, entries: Sequence[RunEntry], scores: Scores) -> dict[str, Text]:
    """RI, how sure the difference is under each attack, and the training that it took.

    Args:
        row: of a defended model; nothing is said of an undefended one.
        entries: all runs, so that the undefended ones are among them.
        scores: of the runs.
    """
    gain = row.gain
    if gain is None:
        return {}
    run = row.runs[0]
    total = _against_undefended(row, CLEAN_AND_AVERAGE, entries, scores)
    interval = (total.low, total.high) if total else None
    texts = {"RI": gain_text(gain, interval, run=run), "p RI": _p_text(total, run)}
    for condition in row.attacked:
        measure = ClipMeasure(condition.title, condition=condition.name)
        test = _against_undefended(row, measure, entries, scores)
        texts[f"p {condition.title}"] = _p_text(test, run)
    texts["epochs"] = Text(row.epochs, number=True)
    return texts


def _against_undefended(
    row: Row, measure: ClipMeasure, entries: Sequence[RunEntry], scores: Scores
) -> PairedTest | None:
    """None where the clips of one of the two models are not known."""
    defended = Side(row.labels.defense, row.entries, measure)
    undefended = undefended_side(defended, entries, UNDEFENDED)
    return paired_test(scores, defended, undefended) if undefended else None


def _p_text(test: PairedTest | None, run: str) -> Text:
    if test is None or test.p is None:
        return Text("", number=True)
    return Text(f"{test.p:.2g}", number=True, run=run)


def row_footnotes(rows: Sequence[Row]) -> tuple[str, ...]:
    """What a reader has to know of the numbers in these rows."""
    notes = []
    if any(row.gain for row in rows):
        notes.append(P_NOTE)
    if any(condition.nested for row in rows for condition in row.first.conditions):
        notes.append(NESTED_NOTE)
    if any(row.stale for row in rows):
        notes.append(STALE_NOTE)
    return tuple(notes)


def difference_line(
    labels: dict[str, Text], row: Row, published: Published, conditions: Sequence[ConditionInfo]
) -> Line:
    """Ours minus the published numbers; a mark shows a published number outside our interval."""
    cells = {**labels, "source": Text("difference")}
    for condition in conditions:
        value = published.accuracy.get(condition.name)
        if value is None or condition.name not in row.cells:
            continue
        cell = row.cells[condition.name]
        difference = round(cell.mean - value, 2) + 0.0  # no "-0.00"
        mark = "" if cell.low <= value <= cell.high else OUTSIDE
        cells[condition.title] = Text(f"{difference:+.2f}{mark}", number=True)
    return Line(cells, "difference")


def _notes(row: Row, most_seeds: int) -> str:
    notes = []
    if row.settings:
        notes.append(row.settings)
    if not row.bounded:
        notes.append("not ε-bounded")
    if not row.trusted:
        notes.append("untrusted")
    if row.stale:
        notes.append(row.stale)
    if row.seeds < most_seeds:
        notes.append(f"fewer seeds ({row.seeds} of {most_seeds})")
    if row.skipped:
        notes.append(f"{row.skipped} clips unreadable")
    for condition in row.attacked:
        alone = row.alone(condition)
        if alone is not None:
            notes.append(f"{condition.title} alone {alone:.2f}")
    return "; ".join(notes)
