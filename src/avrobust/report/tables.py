"""The paper's tables and its strength figure, filled with whatever is finished; also as tidy rows for pandas."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from avrobust.evaluation.metrics import robustness_improvement
from avrobust.report.by_attack import by_attack
from avrobust.report.cells import BEHIND, OUTSIDE, SHORT, Table, behind, shown, text_of
from avrobust.report.paper import EPS, find
from avrobust.report.rows import Cell, Row, rows
from avrobust.report.scores import Scores
from avrobust.types import STANDARD_NAMES as CONDITIONS

UNIMODAL = {"audio_only": "only A", "visual_only": "only V"}


class Layout(NamedTuple):
    """Which runs a table holds, and how its rows are told apart."""

    name: str
    title: str
    number: int  # of the paper's table
    attacks: tuple[str, ...]
    fusions: tuple[str, ...]
    single: float  # the factor on eps where one modality is attacked alone
    axis: str = "fusion"  # what tells its rows apart: attack, fusion or defense
    defenses: tuple[str, ...] = ("none",)
    with_clean: bool = False  # Avg counts the clean accuracy in


TABLE1 = Layout(
    "table1",
    "Table 1: attacks on a joint model (Avg over xA, xV, xAV; only A, only V: unimodal models, clean)",
    1,
    attacks=("fgsm", "pgd", "mim", "mim_released"),
    fusions=("concat",),
    single=2.0,
    axis="attack",
)
TABLE2 = Layout(
    "table2",
    "Table 2: fusions under FGSM (Avg over clean, xA, xV, xAV)",
    2,
    attacks=("fgsm",),
    fusions=("sum", "concat", "film", "gated_sum", "gated_concat"),
    single=1.0,
    with_clean=True,
)
TABLE3 = Layout(
    "table3",
    "Table 3: defenses under adaptive FGSM (Avg over xA, xV, xAV; RI and McNemar's p against the undefended model)",
    3,
    attacks=("fgsm",),
    fusions=("concat",),
    single=1.0,
    axis="defense",
    defenses=(
        "none",
        "unimodal_audio",
        "unimodal_visual",
        "pcl",
        "maxsim",
        "minsim",
        "exfmem",
        "minsim_exfmem",
        "adversarial",
        "adversarial_fast",
        "trades",
    ),
)
TABLE3_PGD = TABLE3._replace(
    name="table3_pgd", title=TABLE3.title.replace("FGSM", "PGD"), attacks=("pgd",)
)
LAYOUTS = (TABLE1, TABLE2, TABLE3, TABLE3_PGD)
FIGURE3 = "fig3"
FIGURE3_TITLE = "Fig. 3: accuracy over eps, attacked on audio, video or both"


def tables(runs: pd.DataFrame, scores: Scores) -> list[Table]:
    """The paper's tables and that of strong attacks, as far as these runs fill them; empty ones are left out."""
    tested = runs[(runs["split"] == "test") & runs["average"].notna()]
    found = [_table(layout, tested) for layout in LAYOUTS]
    return [
        table for table in (*found, _figure3(tested), by_attack(runs, scores)) if table is not None
    ]


def overview(runs: pd.DataFrame, title: str = "All finished attacks") -> Table:
    """Every run, those that differ in their seed alone put together."""
    found = rows(runs)
    most = max(row.seeds for row in found)
    labels = [{**row.labels, "eps": f"{row.labels['eps']:g}"} for row in found]
    pairs = zip(found, labels, strict=True)
    lines = [_ours(row, names, _average(row, with_clean=False), most, {}) for row, names in pairs]
    return Table("all", title, shown(lines).drop(columns="source"), _tidy(found), behind(lines))


def _table(layout: Layout, runs: pd.DataFrame) -> Table | None:
    found = protocol(layout, runs)
    if not found:
        return None
    undefended = _budget(layout, runs)
    undefended = undefended[undefended["defense"] == "none"]
    lines = []
    for place in dict.fromkeys((row.labels["dataset"], row.labels["threat"]) for row in found):
        here = [row for row in found if (row.labels["dataset"], row.labels["threat"]) == place]
        lines += _block(
            layout, place, here, _unimodal(place[0], undefended) if layout.number == 1 else {}
        )
    return Table(layout.name, layout.title, shown(lines), _tidy(found), behind(lines))


def protocol(layout: Layout, runs: pd.DataFrame) -> list[Row]:
    """The rows of a table that are finished; none if there is no defense in a table of defenses."""
    mine = _budget(layout, runs)
    mine = mine[mine["fusion"].isin(layout.fusions) & mine["defense"].isin(layout.defenses)]
    return (
        [] if mine.empty or (layout.axis == "defense" and mine["ri"].isna().all()) else rows(mine)
    )


def _budget(layout: Layout, runs: pd.DataFrame) -> pd.DataFrame:
    """The runs under a table's attacks and budgets, whatever the model."""
    same = (
        (runs["eps"] == EPS)
        & (runs["single"] == layout.single)
        & runs["attack"].isin(layout.attacks)
    )
    return runs[same & (runs["split"] == "test") & runs["average"].notna()]


def _block(
    layout: Layout, place: tuple[str, str], found: list[Row], more: dict[str, dict[str, str]]
) -> list[Any]:
    """The lines of one data set and threat, in the paper's order; a row that nobody has run is marked as missing."""
    axis = layout.axis
    wanted = {"attack": layout.attacks, "fusion": layout.fusions, "defense": layout.defenses}[axis]
    most = max(row.seeds for row in found)
    lines: list[dict[str, Any]] = []
    for name in wanted:
        labels = {"dataset": place[0], "threat": place[1], axis: name}
        here = [row for row in found if row.labels[axis] == name]
        lines += [
            _ours(row, labels, _average(row, layout.with_clean), most, more.get("ours", {}))
            for row in here
        ]
        paper = _published(layout, place, name)
        if not here:
            lines.append({**labels, "source": "ours", "notes": "missing"})
        if paper:
            extra = {**more.get("paper", {}), **_ri(layout, place, paper)}
            lines.append(_theirs(labels, paper, layout.with_clean, extra))
        if paper and here:
            lines.append(_difference(labels, here[0], paper))
    return lines


def _ours(
    row: Row, labels: dict[str, Any], average: str, most_seeds: int, more: dict[str, str]
) -> dict[str, Any]:
    cells = {SHORT[c]: text_of(row.cells[c]) for c in CONDITIONS}
    about = {"n": str(row.n), "seeds": str(row.seeds), "notes": _notes(row, most_seeds)}
    return {
        **labels,
        "source": "ours",
        **cells,
        "Avg": average,
        **_gain(row),
        **more,
        **about,
        BEHIND: row.runs,
    }


def _gain(row: Row) -> dict[str, str]:
    """RI, how sure the difference is where both modalities are attacked, and the training that it took."""
    if row.ri is None or row.mcnemar is None:
        return {}
    deviation = "" if row.ri.deviation is None else f" ± {row.ri.deviation:.2f}"
    sure = {f"p {SHORT[c]}": f"{row.mcnemar[c]:.2g}" for c in CONDITIONS[1:]}
    return {"RI": f"{row.ri.mean:+.2f}{deviation}", **sure, "epochs": row.epochs}


def _theirs(
    labels: dict[str, Any], paper: dict[str, float], with_clean: bool, more: dict[str, str]
) -> Any:
    cells = {SHORT[c]: f"{paper[c]:.2f}" for c in CONDITIONS}
    counted = CONDITIONS if with_clean else CONDITIONS[1:]
    average = sum(paper[c] for c in counted) / len(counted)
    return {**labels, "source": "paper", **cells, "Avg": f"{average:.2f}", **more}


def _difference(labels: dict[str, Any], row: Row, paper: dict[str, float]) -> dict[str, Any]:
    def text(cell: Cell, value: float) -> str:
        difference = round(cell.mean - value, 2) + 0.0  # no "-0.00"
        return f"{difference:+.2f}{'' if cell.low <= value <= cell.high else OUTSIDE}"

    return {
        **labels,
        "source": "difference",
        **{SHORT[c]: text(row.cells[c], paper[c]) for c in CONDITIONS},
    }


def _average(row: Row, with_clean: bool) -> str:
    return f"{row.average_with_clean if with_clean else row.average:.2f}"


def _notes(row: Row, most_seeds: int) -> str:
    facts = {
        row.settings: bool(row.settings),
        "not ε-bounded": not row.bounded,
        "untrusted": not row.trusted,
        f"fewer seeds ({row.seeds} of {most_seeds})": row.seeds < most_seeds,
        f"{row.skipped} clips unreadable": row.skipped > 0,
    }
    return "; ".join(text for text, true in facts.items() if true)


def _published(layout: Layout, place: tuple[str, str], name: str) -> dict[str, float] | None:
    """The paper's row of a line of this table."""
    others = {
        "attack": layout.attacks[0],
        "fusion": layout.fusions[0],
        "defense": layout.defenses[0],
    }
    found = find(**{**others, "dataset": place[0], "threat": place[1], layout.axis: name})
    # The paper's Table 2 has the undefended row of its Table 3.
    tables = (2, 3) if layout.axis == "defense" else (layout.number,)
    return {c: found.accuracy[c] for c in CONDITIONS} if found and found.table in tables else None


def _ri(layout: Layout, place: tuple[str, str], paper: dict[str, float]) -> dict[str, str]:
    """The published RI of a row of Table 3, computed, as one printed value is off by rounding."""
    none = _published(layout, place, "none") if layout.axis == "defense" else None
    if none is None:
        return {}
    rows = [{str(condition): value for condition, value in row.items()} for row in (paper, none)]
    return {"RI": f"{robustness_improvement(*rows):+.2f}"}


def _unimodal(dataset: str, runs: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Clean accuracy of the unimodal models: ours and the paper's."""
    found: dict[str, dict[str, str]] = {"ours": {}, "paper": {}}
    for fusion, heading in UNIMODAL.items():
        ours = runs[(runs["dataset"] == dataset) & (runs["fusion"] == fusion)].drop_duplicates(
            "seed"
        )["clean"]
        paper = find(dataset=dataset, fusion=fusion, defense="none", attack="fgsm", threat="paper")
        found["ours"][heading] = "missing" if ours.empty else f"{ours.mean():.2f}"
        found["paper"][heading] = f"{paper.accuracy['clean']:.2f}" if paper else ""
    return found


def strength(runs: pd.DataFrame) -> list[Row]:
    """What Fig. 3 is drawn from: the joint and the unimodal models, undefended, at every eps."""
    fusions = ("concat", *UNIMODAL)
    mine = runs[
        (runs["single"] == 1.0) & runs["fusion"].isin(fusions) & (runs["defense"] == "none")
    ]
    return rows(mine) if len(mine) else []


def _figure3(runs: pd.DataFrame) -> Table | None:
    """Accuracy over eps: a line for each data set, threat, attack, attacked modality and fusion."""
    found = strength(runs)
    lines: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in found:
        for condition in CONDITIONS[1:]:
            key = (
                row.labels["dataset"],
                row.labels["threat"],
                row.labels["attack"],
                SHORT[condition],
            )
            labels = dict(zip(("dataset", "threat", "attack", "condition"), key, strict=True))
            line = (*key, row.labels["fusion"], row.settings)
            about = {**labels, "fusion": row.labels["fusion"], "settings": row.settings}
            cell = row.cells[condition]
            deviation = "" if cell.deviation is None else f" ± {cell.deviation:.2f}"
            start = {**about, "clean": f"{row.cells['clean'].mean:.2f}"}
            lines.setdefault(line, start)[f"{row.labels['eps']:g}"] = f"{cell.mean:.2f}{deviation}"
    curves = {
        key: line for key, line in sorted(lines.items()) if len(line) > 8
    }  # two points at least
    if not curves:
        return None
    text = pd.DataFrame(list(curves.values())).fillna("")
    names = [str(column) for column in text]
    grid = sorted(filter(_is_number, names), key=float)
    front = [
        name for name in names if name not in grid and (name != "settings" or text[name].any())
    ]
    return Table(FIGURE3, FIGURE3_TITLE, text[[*front, *grid]], _tidy(found), [()] * len(text))


def _is_number(text: str) -> bool:
    return text.replace(".", "").replace("e-", "").isdigit()


def _tidy(found: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame([_tidy_line(row, condition) for row in found for condition in CONDITIONS])


def _tidy_line(row: Row, condition: str) -> dict[str, Any]:
    cell, paper = row.cells[condition], row.paper[condition] if row.paper else None
    return {
        **row.labels,
        "settings": row.settings,
        "bounded": row.bounded,
        "condition": condition,
        **cell._asdict(),
        "n": row.n,
        "seeds": row.seeds,
        "published": paper,
        "difference": None if paper is None else cell.mean - paper,
    }
