"""The paper's tables and its strength figure, filled with whatever is finished.

What a table holds follows from what ran and from paper.csv: a fusion, a defense or an attack of
one's own gets a line without being named here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

from avrobust.experiments.settings import UNDEFENDED
from avrobust.report.by_attack import by_attack
from avrobust.report.curves import strength_table
from avrobust.report.lines import difference_line, gain_texts, our_line, row_footnotes
from avrobust.report.load import RunEntry, Runs
from avrobust.report.paper import EPS, Published, find, published_names, published_ri
from avrobust.report.rows import Row, conditions_of, rows
from avrobust.report.scores import Scores
from avrobust.report.table import (
    OUTSIDE,
    Line,
    Table,
    Text,
    columns_of,
    label_texts,
    number_text,
)
from avrobust.report.tidy import tidy_rows
from avrobust.report.unimodal import unimodal_published, unimodal_texts

STARRED = f"{OUTSIDE} the published number is outside our interval."
TableAxis = Literal["attack", "fusion", "defense"]


@final
@dataclass(frozen=True)
class Layout:
    """One of the paper's tables.

    Args:
        name: of the table and of the sweep that fills it.
        title: above the table, with a place for the attack's name.
        number: of the paper's table.
        axis: what tells its lines apart.
        attack: the attack of all its lines; None where the attacks tell lines apart.
        single_modality_factor: on eps, where one modality is attacked alone.
        with_clean: Avg counts the clean accuracy in.
    """

    name: str
    title: str
    number: int
    axis: TableAxis
    attack: str | None = None
    single_modality_factor: float = 1.0
    with_clean: bool = False

    def budget(self, entry: RunEntry) -> bool:
        """Whether a run has the table's budgets, whatever the model and the attack."""
        same_factor = entry.single_modality_factor == self.single_modality_factor
        return (
            entry.on_test_split
            and bool(entry.result.attacked)
            and entry.labels.eps == EPS
            and same_factor
        )

    def holds(self, entry: RunEntry) -> bool:
        """Whether a run has a line in the table."""
        labels = entry.labels
        if not self.budget(entry) or (self.attack and labels.attack != self.attack):
            return False
        joint = published_names(1, "fusion")
        if self.axis == "attack":
            wanted = _paper_attack(entry) in published_names(self.number, "attack")
            return wanted and labels.fusion in joint and labels.defense == UNDEFENDED
        if self.axis == "fusion":
            both = len(entry.result.model_modalities) == 2
            return both and labels.defense == UNDEFENDED
        # A defended model attacked without what its defense declares has no place in this table.
        adaptive = labels.defense == UNDEFENDED or entry.result.comparison is not None
        return labels.fusion in joint and adaptive


TABLE1 = Layout(
    "table1",
    "Table 1: attacks on a joint model "
    "(Avg over xA, xV, xAV; only A, only V: unimodal models, clean)",
    1,
    "attack",
    single_modality_factor=2.0,
)
TABLE2 = Layout(
    "table2",
    "Table 2: fusions under {} (Avg over clean, xA, xV, xAV)",
    2,
    "fusion",
    attack=published_names(2, "attack")[0],
    with_clean=True,
)
TABLE3 = Layout(
    "table3",
    "Table 3: defenses under adaptive {} "
    "(Avg over xA, xV, xAV; RI and p against the undefended model)",
    3,
    "defense",
    attack=published_names(3, "attack")[0],
)


def layouts(entries: Sequence[RunEntry]) -> list[Layout]:
    """The paper's tables; that of defenses once more for every other attack on defended models."""
    attacks = {entry.labels.attack for entry in entries if entry.result.comparison}
    more = []
    for attack in sorted(attacks - {TABLE3.attack}):
        name = f"{TABLE3.name}_{attack.replace(' ', '_')}"
        more.append(replace(TABLE3, name=name, attack=attack))
    return [TABLE1, TABLE2, TABLE3, *more]


def tables(runs: Runs, scores: Scores) -> list[Table]:
    """The paper's tables and that of strong attacks, filled from these runs; no empty ones."""
    found = [paper_table(layout, runs.entries, scores) for layout in layouts(runs.entries)]
    found += [strength_table(runs.entries), by_attack(runs.entries, scores)]
    return [table for table in found if table is not None]


def overview(runs: Runs, scores: Scores, title: str = "All finished attacks") -> Table:
    """Every run, those that differ in their seed alone put together."""
    all_rows = rows(runs.entries)
    most_seeds = max(row.seeds for row in all_rows)
    conditions = conditions_of(runs.entries)
    lines = []
    for row in all_rows:
        gains = gain_texts(row, runs.entries, scores)
        lines.append(our_line(row, label_texts(row.labels), conditions, most_seeds, gains))
    footnotes = row_footnotes(all_rows)
    return Table("all", title, columns_of(lines), lines, tidy_rows(all_rows), footnotes)


def paper_table(layout: Layout, entries: Sequence[RunEntry], scores: Scores) -> Table | None:
    """One of the paper's tables; None where nothing of it is finished."""
    protocol = protocol_rows(layout, entries)
    if not protocol:
        return None
    blocks: dict[tuple[str, str], list[Row]] = {}
    for row in protocol:
        blocks.setdefault((row.labels.dataset, row.labels.threat), []).append(row)
    budget = [entry for entry in entries if layout.budget(entry)]
    gains = {row.runs: gain_texts(row, entries, scores) for row in protocol}
    lines: list[Line] = []
    for block in blocks.values():
        lines += _Block(layout, block, budget, gains).lines()
    starred = any(OUTSIDE in cell.main for line in lines for cell in line.cells.values())
    footnotes = row_footnotes(protocol)
    if starred:
        footnotes = (STARRED, *footnotes)
    return Table(
        layout.name,
        layout.title.format(str(layout.attack).upper()),
        columns_of(lines),
        lines,
        tidy_rows(protocol),
        footnotes,
    )


def protocol_rows(layout: Layout, entries: Sequence[RunEntry]) -> list[Row]:
    """The rows of a table that are finished; none if there is no defense in a table of defenses."""
    held = [entry for entry in entries if layout.holds(entry)]
    if layout.axis == "defense" and not any(entry.result.comparison for entry in held):
        return []
    return sorted(rows(held), key=_paper_order(layout))


def _paper_attack(entry: RunEntry) -> str:
    """The attack by its name in the paper."""
    return entry.result.attack.paper_name or entry.labels.attack


def _paper_order(layout: Layout) -> Callable[[Row], tuple[str, str, int, str]]:
    """Sorts rows by data set and threat, and there in the paper's order; own ones come last."""
    order = _names_in_paper(layout)

    def place(row: Row) -> tuple[str, str, int, str]:
        name = _axis_name(row, layout.axis)
        position = order.index(name) if name in order else len(order)
        return row.labels.dataset, row.labels.threat, position, name

    return place


def _names_in_paper(layout: Layout) -> list[str]:
    """The names of the paper's lines, the undefended model first."""
    names = published_names(layout.number, layout.axis)
    return list(dict.fromkeys([UNDEFENDED, *names])) if layout.axis == "defense" else names


def _axis_name(row: Row, axis: TableAxis) -> str:
    return str(getattr(row.labels, axis))


class _Block:
    """The lines of one data set and threat."""

    def __init__(
        self,
        layout: Layout,
        block: Sequence[Row],
        budget: Sequence[RunEntry],
        gains: Mapping[tuple[str, ...], dict[str, Text]],
    ) -> None:
        self.layout, self.rows, self.gains = layout, block, gains
        self.dataset, self.threat = block[0].labels.dataset, block[0].labels.threat
        self.most_seeds = max(row.seeds for row in block)
        entries = [entry for row in block for entry in row.entries]
        self.conditions = conditions_of(entries)
        self.unimodal = unimodal_texts(self.dataset, budget) if layout.number == 1 else {}
        self.unimodal_paper = unimodal_published(self.dataset) if layout.number == 1 else {}

    def lines(self) -> list[Line]:
        """Ours, the paper's and the difference; a published row without a run is marked missing."""
        lines: list[Line] = []
        names = [_axis_name(row, self.layout.axis) for row in self.rows]
        for name in dict.fromkeys([*_names_in_paper(self.layout), *names]):
            ours = [row for row in self.rows if _axis_name(row, self.layout.axis) == name]
            lines += self._lines_of(name, ours, self._published(name))
        return lines

    def _published(self, name: str) -> Published | None:
        """The paper's row of a line."""
        layout, joint = self.layout, published_names(1, "fusion")[0]
        attack = layout.attack or published_names(layout.number, "attack")[0]
        names = {"attack": attack, "fusion": joint, "defense": UNDEFENDED, layout.axis: name}
        ours = [row for row in self.rows if _axis_name(row, layout.axis) == name]
        if ours:
            published = ours[0].published
        else:
            published = find(dataset=self.dataset, threat=self.threat, **names)
        # The undefended row of the paper's Table 3 stands in its Table 2.
        tables = (2, 3) if layout.axis == "defense" else (layout.number,)
        return published if published and published.table in tables else None

    def _lines_of(self, name: str, ours: Sequence[Row], published: Published | None) -> list[Line]:
        labels = {
            "dataset": Text(self.dataset),
            "threat": Text(self.threat),
            self.layout.axis: Text(name),
        }
        lines = []
        for row in ours:
            lines.append(
                our_line(
                    row,
                    labels,
                    self.conditions,
                    self.most_seeds,
                    self.gains[row.runs],
                    with_clean=self.layout.with_clean,
                    more=self.unimodal,
                )
            )
        if not ours:
            missing = {**labels, "source": Text("ours"), "notes": Text("missing")}
            lines.append(Line(missing))
        if published:
            lines.append(self._paper_line(labels, published))
        if published and ours:
            lines.append(difference_line(labels, ours[0], published, self.conditions))
        return lines

    def _paper_line(self, labels: dict[str, Text], published: Published) -> Line:
        cells = {**labels, "source": Text("paper")}
        for condition in self.conditions:
            if condition.name in published.accuracy:
                cells[condition.title] = number_text(published.accuracy[condition.name])
        with_clean = self.layout.with_clean
        average = published.average_with_clean if with_clean else published.average
        cells["Avg"] = number_text(average)
        ri = published_ri(published) if self.layout.axis == "defense" else None
        if ri is not None:
            cells["RI"] = number_text(ri, signed=True)
        return Line(cells | self.unimodal_paper, "paper")
