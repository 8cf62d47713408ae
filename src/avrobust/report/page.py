"""The report as one HTML file that needs nothing else: no request leaves it, and it opens from disk."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from avrobust.analyses.embeddings.section import comparisons
from avrobust.analyses.localization.section import HEAD, NAMES, sources
from avrobust.analyses.strength.section import PANELS, surfaces, words
from avrobust.report import charts
from avrobust.report.cells import Table
from avrobust.report.claims import claims
from avrobust.report.classes import as_json, confusions
from avrobust.report.collect import dataset_name
from avrobust.report.command import command, flat
from avrobust.report.curves import TITLES, axis, strengths
from avrobust.report.gallery import gallery
from avrobust.report.paper import EPS
from avrobust.report.row import notes, title
from avrobust.report.scores import Scores
from avrobust.report.tables import FIGURE3, TABLE1, UNIMODAL
from avrobust.report.write import latex, markdown
from avrobust.utils.files import atomic_write

SIZE = 20_000_000  # bytes
FRAME = 50_000  # bytes of the page without its sections
SOURCES = 0.15  # of the page's size, at most
SECTIONS = (
    "claims",
    "tables",
    "curves",
    "strength",
    "embeddings",
    "classes",
    "gallery",
    "sources",
    "runs",
)


class Line(NamedTuple):
    """One line of a table on the page."""

    cells: list[tuple[str, str, str]]  # column, what is large, what is small beside it
    source: str  # ours, paper or difference
    runs: tuple[str, ...]


class Entry(NamedTuple):
    """Lines that belong together: ours, the paper's and the difference."""

    lines: list[Line]


def write_page(
    path: Path,
    runs: pd.DataFrame,
    results: list[dict[str, Any]],
    tables: list[Table],
    root: Path,
    size: int = SIZE,
) -> None:
    """Writes the page.

    Args:
        path: of the file.
        runs: of `collect`.
        results: the result files that `runs` was made of.
        tables: in the order of the page.
        root: the folder of all runs.
        size: about the most bytes that the page may have; the clips get what the rest leaves.
    """
    titles = {str(result["run_id"]): name(result) for result in results}
    content = {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "datasets": sorted(set(runs["dataset"])),
        "seeds": sorted(set(runs["seed"])),
        "untrusted": int((~runs["trusted"]).sum()),
        "unbounded": int((~runs["bounded"]).sum()),
        "claims": claims(runs, Scores(root)),
        "tables": [table for table in tables if table.name != FIGURE3],
        "strengths": strengths(runs),
        "surfaces": surfaces(runs, root),
        "comparisons": comparisons(runs, root),
        "unimodal": _unimodal(runs),
        "confusions": confusions(runs, titles, root),
        "sources": sources(titles, root, int(SOURCES * size)),
        "runs": [
            _run(result) for result in sorted(results, key=lambda result: str(result["run_id"]))
        ],
    }
    made = _environment()
    sections = {name: _section(made, name, content) for name in SECTIONS if name != "gallery"}
    left = size - FRAME - sum(len(section.encode()) for section in sections.values())
    content["gallery"] = gallery(
        runs, titles, root, left
    )  # the one part that can be had in any size
    sections["gallery"] = _section(made, "gallery", content)
    content["sections"] = [sections[name] for name in SECTIONS]
    with atomic_write(path) as temporary:
        temporary.write_text(made.get_template("index.html").render(content), encoding="utf-8")


def _section(made: Environment, name: str, content: Mapping[str, Any]) -> Markup:
    return Markup(made.get_template(f"{name}.html").render(content))  # the template has escaped it


def _environment() -> Environment:
    loader = PackageLoader("avrobust.report")
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        entries=entries, axis=axis, charts=charts, frame=charts.FRAME, panels=PANELS, titles=TITLES
    )
    made.globals.update(source_head=HEAD, source_names=NAMES)
    made.filters.update(
        markdown=markdown,
        latex=latex,
        csv=lambda table: table.tidy.to_csv(index=False),
        p_value=p_value,
        as_json=as_json,
        words=words,
    )
    return made


def _run(result: Mapping[str, Any]) -> dict[str, Any]:
    """The section of one run."""
    return {
        "id": result["run_id"],
        "title": name(result),
        "notes": notes(result),
        "command": command(result),
        "exact": "overrides" in result["config"],
        "config": flat({key: value for key, value in result["config"].items() if key != "choices"}),
        "facts": [
            (name, str(result.get(name))) for name in ("n", "seconds", "model", "data", "git")
        ],
        "versions": result.get("versions", {}),
    }


def _unimodal(runs: pd.DataFrame) -> dict[tuple[str, str], str]:
    """The run that a unimodal model's clean accuracy in Table 1 comes from, by data set and column."""
    same = (runs["eps"] == EPS) & (runs["single"] == TABLE1.single) & (runs["split"] == "test")
    mine = runs[same & (runs["defense"] == "none") & runs["fusion"].isin(UNIMODAL)]
    names = zip(mine["dataset"], mine["fusion"], mine["run_id"], strict=True)
    return {(dataset, UNIMODAL[fusion]): run for dataset, fusion, run in reversed(list(names))}


def name(result: Mapping[str, Any]) -> str:
    """What a run is called: a folder's data set goes by the folder's name."""
    config = result["config"]
    choices = {**config["choices"], "dataset": dataset_name(config)}
    return f"{title({'config': {**config, 'choices': choices}})}, seed {config['seed']}"


def entries(table: Table) -> list[Entry]:
    """The lines of a table, each of ours with the paper's that stand below it."""
    found: list[Entry] = []
    for row, behind in zip(table.shown.to_dict("records"), table.runs, strict=True):
        source = str(row.get("source", "ours"))
        cells = [
            (str(name), *_parts(str(value))) for name, value in row.items() if name != "source"
        ]
        line = Line(cells, source, behind)
        if source == "ours" or not found:
            found.append(Entry([line]))
        else:
            found[-1].lines.append(line)
    return found


def _parts(text: str) -> tuple[str, str]:
    """The number of a cell, and its deviation and interval."""
    number, plus, deviation = text.partition(" ± ")
    if plus:
        return number, "± " + deviation.replace(" (", "\n(")
    number, bracket, interval = text.partition(" (")
    return (number, f"({interval}") if bracket and interval.endswith(")") else (text, "")


def p_value(p: float) -> str:
    """A p-value as one reads it."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"
