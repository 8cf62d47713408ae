"""Robust accuracy by attack: who was fooled by whom, what the strongest attacks together leave, and what each costs."""

from collections.abc import Iterator
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from avrobust.evaluation.metrics import wilson
from avrobust.report.cells import SHORT, Table, shown, text_of
from avrobust.report.rows import Cell, Row, rows
from avrobust.report.scores import LEVEL, Column, Scores, Side, compare
from avrobust.types import STANDARD_NAMES as CONDITIONS

BY_ATTACK = "strong"
TITLE = "Robust accuracy by attack"
WEAK = ("fgsm", "pgd", "mim")
STRONG = (
    "pgd100",
    "apgd_ce",
    "apgd_dlr",
    "apgd_t",
    "square",
    "av_auto",
)  # without one of these there is no table
WEAKER = "†"  # an attack that leaves more clips than the strongest of the line, outside noise
WORST = "worst of all"  # a clip stands if it withstands every attack of the line
ABOUT = (
    "dataset",
    "threat",
    "eps",
    "fusion",
    "split",
    "attacker",
    "n",
    "seeds",
)  # in the title if all are the same
COSTS = ("gradients", "queries", "seconds")


def by_attack(runs: pd.DataFrame, scores: Scores) -> Table | None:
    """One line for each model and attacked condition, and what each attack costs; None without a strong attack.

    The attacks on models trained alike on the same data, under one threat, stand side by side, for
    the seeds that all have.
    """
    mine = runs[runs["attack"].isin([*WEAK, *STRONG]) & runs["bounded"] & runs["average"].notna()]
    subjects = [block for _, block in mine.groupby("subject") if block["attack"].isin(STRONG).any()]
    blocks = [_Block(_same_seeds(block), scores) for block in subjects]
    if not blocks:
        return None
    blocks.sort(key=lambda block: block.place)
    names = [name for block in blocks for name in block.attacks]
    columns = sorted(
        dict.fromkeys(names), key=lambda name: ([*WEAK, *STRONG].index(name.split(" ")[0]), name)
    )
    lines = [line for block in blocks for line in block.lines(columns)]
    tidy = pd.DataFrame([line for block in blocks for line in block.tidy()])
    text = shown(lines)
    same = [name for name in ABOUT if text[name].nunique() == 1]
    title = (
        f"{TITLE}: {', '.join(f'{name} {text[name].iloc[0]}' for name in same)}" if same else TITLE
    )
    return Table(BY_ATTACK, title, text.drop(columns=same), tidy, [()] * len(lines))


def _same_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of the seeds that all attacks have; all runs if there is no such seed."""
    seeds = [set(seeds) for _, seeds in runs.groupby(["attack", "settings"])["seed"]]
    common = set.intersection(*seeds)
    return runs[runs["seed"].isin(common)] if common else runs


class _Block:
    """The attacks on one model, of all its seeds."""

    def __init__(self, runs: pd.DataFrame, scores: Scores) -> None:
        self.runs, self.scores = runs, scores
        by_hand = dict(zip(runs["run_id"], runs["by_hand"], strict=True))
        self.attacks = {_name(row, by_hand[row.runs[0]]): row for row in rows(runs)}
        first = next(iter(self.attacks.values()))
        self.labels = {
            key: first.labels[key]
            for key in ("dataset", "threat", "eps", "fusion", "defense", "split")
        }
        self.labels["eps"] = f"{first.labels['eps']:g}"
        self.adaptive = bool((runs["task"] == "defend").all())

    @property
    def place(self) -> tuple[Any, ...]:
        """Where it stands in the table: undefended models first."""
        labels = self.labels
        return (
            labels["dataset"],
            labels["threat"],
            labels["fusion"],
            labels["defense"] != "none",
            *labels.values(),
        )

    def lines(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        """The table's lines, as text."""
        clean = text_of(next(iter(self.attacks.values())).cells["clean"])
        about = {
            **self.labels,
            "attacker": "adaptive" if self.adaptive else "plain",
            "n": ", ".join(str(n) for n in sorted({row.n for row in self.attacks.values()})),
            "seeds": ", ".join(
                str(n) for n in sorted({row.seeds for row in self.attacks.values()})
            ),
        }
        for condition in CONDITIONS[1:]:
            weaker, worst = self.weaker(condition), self.worst(condition)
            cells = {
                name: text_of(row.cells[condition], WEAKER if name in weaker else "")
                for name, row in self.attacks.items()
            }
            yield {
                **about,
                "under": SHORT[condition],
                "clean": clean,
                **{name: cells.get(name, "") for name in columns},
                WORST: text_of(worst) if worst else "",
                "verdict": self.verdict(condition),
            }
        for cost in COSTS:
            values = {name: self.cost(row, cost) for name, row in self.attacks.items()}
            told = {
                name: "" if pd.isna(values.get(name)) else f"{values[name]:.3g}" for name in columns
            }
            yield {
                **about,
                "under": f"{cost} a clip",
                "clean": "",
                **told,
                WORST: "",
                "verdict": "",
            }

    def weaker(self, condition: str) -> set[str]:
        """The attacks that leave more than the strongest, outside noise: McNemar's test, Bonferroni's correction."""
        strongest = min(self.attacks, key=lambda name: self.attacks[name].cells[condition].mean)
        found = set()
        for name in self.attacks:
            if name != strongest:
                test = compare(
                    self.scores, self.side(name, condition), self.side(strongest, condition)
                )
                if test and test.difference > 0 and test.p * (len(self.attacks) - 1) <= LEVEL:
                    found.add(name)
        return found

    def side(self, name: str, condition: str) -> Side:
        return Side(name, self.runs[self.runs["run_id"].isin(self.attacks[name].runs)], condition)

    def worst(self, condition: str) -> Cell | None:
        """What withstands every attack, clip by clip, over the seeds that all attacks have."""
        left: dict[int, list[Column]] = {}
        for seed, task, run in zip(
            *(self.runs[key].tolist() for key in ("seed", "task", "run_id")), strict=True
        ):
            table = self.scores.of(task, run)
            if condition in table:
                left.setdefault(seed, []).append(table[condition])
        every = [_least(columns) for columns in left.values() if len(columns) == len(self.attacks)]
        if not every:
            return None
        each, n = [100 * fmean(stand) for stand in every], len(every[0])
        mean, deviation = fmean(each), stdev(each) if len(each) > 1 else None
        return Cell(mean, deviation, *wilson(round(mean / 100 * n), n))

    def verdict(self, condition: str) -> str:
        """What the attacks that judge themselves say of this condition; nothing where none did."""
        judged = self.runs[self.runs["judged"]]
        if judged.empty:
            return ""
        reasons = [reason for text in judged["reasons"] for reason in str(text).splitlines()]
        return (
            "NOT trusted"
            if any(r.startswith((f"{condition}:", "model:")) for r in reasons)
            else "trusted"
        )

    def cost(self, row: Row, name: str) -> float:
        """Gradients or queries a clip, mean over the attacked conditions; or seconds a clip, of the whole run."""
        mine = self.runs[self.runs["run_id"].isin(row.runs)]
        if name == "seconds":
            return float((mine["seconds"] / mine["n"]).mean())
        return float(mine[[f"{name}_{c}" for c in CONDITIONS[1:]]].mean(axis=1).mean())

    def tidy(self) -> Iterator[dict[str, Any]]:
        """The same for programs: one row an attack and condition."""
        for condition in CONDITIONS[1:]:
            weaker = self.weaker(condition)
            for name, row in self.attacks.items():
                yield {
                    **self.labels,
                    "adaptive": self.adaptive,
                    "attack": name,
                    "condition": condition,
                    **row.cells[condition]._asdict(),
                    "n": row.n,
                    "seeds": row.seeds,
                    "weaker": name in weaker,
                    **{cost: self.cost(row, cost) for cost in COSTS},
                    "verdict": self.verdict(condition),
                }


def _name(row: Row, by_hand: str) -> str:
    """The attack, with the settings that are not its option's own."""
    own = by_hand or ", ".join(
        part for part in row.settings.split(", ") if part.startswith("attack.")
    )
    return f"{row.labels['attack']} ({own})" if own else str(row.labels["attack"])


def _least(columns: list[Column]) -> list[float]:
    """Of each clip that all columns have, the least: whether it stands under every attack."""
    return [
        min(column[key] for column in columns)
        for key in columns[0]
        if all(key in column for column in columns)
    ]
