"""Lines of tables: our numbers, the differences from the published ones, and notes on them."""

from collections.abc import Sequence

from avrobust.report.paper import Published
from avrobust.report.rows import Row
from avrobust.report.table import OUTSIDE, Line, Text, accuracy_text, number_text
from avrobust.types import ConditionInfo


def our_line(
    row: Row,
    labels: dict[str, Text],
    conditions: Sequence[ConditionInfo],
    most_seeds: int,
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
    cells |= _gain_texts(row)
    cells |= more or {}
    cells["n"] = Text(str(row.n), number=True)
    cells["seeds"] = Text(str(row.seeds), number=True)
    cells["notes"] = Text(_notes(row, most_seeds))
    return Line(cells, "ours", row.runs)


def _gain_texts(row: Row) -> dict[str, Text]:
    """RI, how sure the difference is under each attack, and the training that it took."""
    gain = row.gain
    if gain is None:
        return {}
    run = row.runs[0]
    texts = {"RI": number_text(gain.mean, gain.deviation, signed=True, run=run)}
    for condition in row.attacked:
        texts[f"p {condition.title}"] = Text(f"{row.mcnemar(condition):.2g}", number=True, run=run)
    texts["epochs"] = Text(row.epochs, number=True)
    return texts


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
    if row.seeds < most_seeds:
        notes.append(f"fewer seeds ({row.seeds} of {most_seeds})")
    if row.skipped:
        notes.append(f"{row.skipped} clips unreadable")
    return "; ".join(notes)
