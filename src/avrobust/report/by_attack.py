"""Robust accuracy by attack.

A table shows which attack fools which model, what the strongest attacks together leave, and what
each attack costs. An attack declares how strong it is meant to be (`Attack.kind`); a table needs a
strong one.
"""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any, final

from avrobust.report.lines import NESTED_NOTE
from avrobust.report.load import RunEntry
from avrobust.report.rows import Cell, Row, cell_of, rows
from avrobust.report.scores import ClipMeasure, ClipScores, Scores, Side, fooled_in_addition
from avrobust.report.table import Line, Table, Text, accuracy_text, columns_of, label_texts
from avrobust.types import ConditionInfo

NAME = "strong"
TITLE = "Robust accuracy by attack"
KINDS = ("one_step", "iterative", "strong", "black_box", "ensemble")  # in the order of the columns
STRONG = ("strong", "black_box", "ensemble")
WORST = "worst of all"  # a clip stands if it withstands every attack of the line
COSTS = ("gradients", "queries", "seconds")
FOOTNOTE = (
    "[+8 -1]: the strongest attack of the line fools 8 clips that this one does not, and this one "
    "fools 1 that the strongest one does not, all seeds together. Both attack the same models, so "
    "this is no estimate and has no p; intervals are about new clips. Gradients and queries are "
    "the mean over the attacked conditions, seconds those of the whole run."
)


def by_attack(entries: Sequence[RunEntry], scores: Scores) -> Table | None:
    """The table of robust accuracy by attack; None without a strong attack.

    It has one line for each model and attacked condition, and says what each attack costs. The
    attacks on models trained alike on the same data, under one threat, stand side by side, for the
    seeds that all of them have.
    """
    subjects: dict[str, list[RunEntry]] = {}
    for entry in entries:
        facts = entry.result.attack
        white_box = entry.result.white_box is None and entry.result.settings.target is None
        if facts.bounded and entry.result.attacked and white_box:
            subjects.setdefault(entry.subject, []).append(entry)
    blocks = []
    for same in subjects.values():
        if any(entry.result.attack.kind in STRONG for entry in same):
            blocks.append(_Block(_same_seeds(same), scores))
    if not blocks:
        return None
    blocks.sort(key=lambda block: block.place)
    lines: list[Line] = []
    tidy: list[dict[str, Any]] = []
    names = _attack_names(blocks)
    for block in blocks:
        lines += block.lines(names)
        tidy += block.tidy()
    title, columns = _without_common_labels(lines)
    nested = any(condition.nested for e in entries for condition in e.result.conditions)
    footnotes = (FOOTNOTE, NESTED_NOTE) if nested else (FOOTNOTE,)
    return Table(NAME, title, columns, lines, tidy, footnotes)


def _attack_names(blocks: "Sequence[_Block]") -> list[str]:
    """The columns of all blocks, the weakest kind of attack first."""
    kinds: dict[str, int] = {}
    for block in blocks:
        for name, row in block.attacks.items():
            kinds[name] = KINDS.index(row.first.attack.kind)
    return sorted(kinds, key=lambda name: (kinds[name], name))


def _without_common_labels(lines: list[Line]) -> tuple[str, list[str]]:
    """The title with what all lines have in common, and the columns that are left."""
    columns = columns_of(lines)
    common = []
    for name in ("dataset", "threat", "eps", "fusion", "split", "attacker", "n", "seeds"):
        values = {line.cells[name].main for line in lines}
        if len(values) == 1:
            common.append(f"{name} {values.pop()}")
            columns.remove(name)
    title = f"{TITLE}: {', '.join(common)}" if common else TITLE
    return title, columns


def _same_seeds(entries: Sequence[RunEntry]) -> list[RunEntry]:
    """The runs of the seeds that all attacks have; all runs if there is no such seed."""
    seeds: dict[tuple[str, str], set[int]] = {}
    for entry in entries:
        seeds.setdefault((entry.labels.attack, entry.settings), set()).add(entry.seed)
    common = set.intersection(*seeds.values())
    return [entry for entry in entries if entry.seed in common] if common else list(entries)


@final
class _Block:
    """The attacks on one model, of all its seeds."""

    def __init__(self, entries: Sequence[RunEntry], scores: Scores) -> None:
        self.entries, self.scores = entries, scores
        self.attacks = {_attack_title(row): row for row in rows(entries)}
        first = entries[0]
        self.labels = first.labels
        self.conditions = [condition.info for condition in first.result.attacked]
        self.adaptive = all(entry.result.comparison for entry in entries)

    @property
    def place(self) -> tuple[Any, ...]:
        """Where it stands in the table: undefended models first."""
        labels = self.labels
        defended = self.entries[0].result.experiment.model.defended
        return labels.dataset, labels.threat, labels.fusion, defended, labels

    def lines(self, names: Sequence[str]) -> Iterator[Line]:
        """The table's lines."""
        clean = next(iter(self.attacks.values())).clean
        for condition in self.conditions:
            cells = {**self._label_texts(), "under": Text(condition.title)}
            cells["clean"] = accuracy_text(clean)
            for name in names:
                cells[name] = self._accuracy(name, condition)
            worst = self.worst(condition)
            cells[WORST] = accuracy_text(worst) if worst else Text("")
            cells["verdict"] = Text(self.verdict(condition))
            yield Line(cells)
        for cost in COSTS:
            cells = {**self._label_texts(), "under": Text(f"{cost} a clip")}
            for name in names:
                value = self.cost(self.attacks[name], cost) if name in self.attacks else None
                cells[name] = Text("" if value is None else f"{value:.3g}", number=True)
            yield Line(cells)

    def _accuracy(self, name: str, condition: ConditionInfo) -> Text:
        if name not in self.attacks:
            return Text("")
        row = self.attacks[name]
        counts = self.beside_strongest(name, condition)
        more = f"[+{counts[0]} -{counts[1]}]" if counts else ""
        return accuracy_text(row.cells[condition.name], more=more, run=row.runs[0])

    def _label_texts(self) -> dict[str, Text]:
        texts = label_texts(self.labels)
        del texts["attack"]
        all_rows = self.attacks.values()
        texts["attacker"] = Text("adaptive" if self.adaptive else "plain")
        texts["n"] = Text(
            ", ".join(str(n) for n in sorted({row.n for row in all_rows})), number=True
        )
        seeds = sorted({row.seeds for row in all_rows})
        texts["seeds"] = Text(", ".join(str(count) for count in seeds), number=True)
        return texts

    def beside_strongest(self, name: str, condition: ConditionInfo) -> tuple[int, int] | None:
        """The clips that the strongest attack fools and this one does not, and the reverse.

        None for the strongest attack itself, and where the clips of a run are not known.
        """
        means = {other: row.cells[condition.name].mean for other, row in self.attacks.items()}
        strongest = min(means, key=lambda other: means[other])
        if name == strongest:
            return None
        sides = self._side(strongest, condition), self._side(name, condition)
        return fooled_in_addition(self.scores, *sides)

    def _side(self, name: str, condition: ConditionInfo) -> Side:
        measure = ClipMeasure(condition.title, condition=condition.name)
        return Side(name, self.attacks[name].entries, measure)

    def worst(self, condition: ConditionInfo) -> Cell | None:
        """What withstands every attack, clip by clip, over the seeds that all attacks have."""
        by_seed: dict[int, list[ClipScores]] = {}
        for entry in self.entries:
            scores = self.scores.by_condition(entry)
            if condition.name in scores:
                by_seed.setdefault(entry.seed, []).append(scores[condition.name])
        accuracies, n = [], 0
        for attacks in by_seed.values():
            if len(attacks) == len(self.attacks):
                standing = _minimum(attacks)
                accuracies.append(100 * fmean(standing))
                n = len(standing)
        return cell_of(accuracies, n) if accuracies else None

    def verdict(self, condition: ConditionInfo) -> str:
        """What the attacks that judge themselves say of this condition; nothing where none did."""
        verdicts = [entry.result.verdict for entry in self.entries if entry.result.verdict]
        if not verdicts:
            return ""
        prefixes = (f"{condition.name}:", "model:")
        for verdict in verdicts:
            if any(reason.startswith(prefixes) for reason in verdict.reasons):
                return "NOT trusted"
        if all(condition.name in verdict.unjudged for verdict in verdicts):
            return "nothing to judge"
        return "trusted"

    def cost(self, row: Row, name: str) -> float | None:
        """Gradients, queries or seconds a clip.

        Gradients and queries are the mean over the attacked conditions, seconds those of the whole
        run.
        """
        values = []
        for entry in row.entries:
            if name == "seconds":
                values.append(entry.result.seconds / entry.result.n)
                continue
            for condition in entry.result.attacked:
                if condition.cost is not None:
                    values.append(getattr(condition.cost, name))
        return fmean(values) if values else None

    def tidy(self) -> Iterator[dict[str, Any]]:
        """The same for programs: one record an attack and condition."""
        for condition in self.conditions:
            for name, row in self.attacks.items():
                more, fewer = self.beside_strongest(name, condition) or (None, None)
                yield {
                    **self.labels._asdict(),
                    "adaptive": self.adaptive,
                    "attack": name,
                    "condition": condition.name,
                    **row.cells[condition.name]._asdict(),
                    "n": row.n,
                    "seeds": row.seeds,
                    "strongest_fools_more": more,
                    "strongest_fools_fewer": fewer,
                    **{cost: self.cost(row, cost) for cost in COSTS},
                    "verdict": self.verdict(condition),
                }


def _attack_title(row: Row) -> str:
    """The attack, with the settings that are not its option's own."""
    settings = row.entries[0].attack_overrides
    if not settings:
        named = [part for part in row.settings.split(", ") if part.startswith("attack.")]
        settings = ", ".join(named)
    return f"{row.labels.attack} ({settings})" if settings else row.labels.attack


def _minimum(scores: Sequence[ClipScores]) -> list[float]:
    """Of each clip that all have, the least score: whether it stands under every attack."""
    standing = []
    for key in scores[0]:
        if all(key in other for other in scores):
            standing.append(min(other[key] for other in scores))
    return standing
