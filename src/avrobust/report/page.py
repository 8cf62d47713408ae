"""The report as one HTML file that needs nothing else: it opens from disk and sends no request."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from avrobust.analyses.base import Section
from avrobust.charts import style
from avrobust.experiments.listing import flat, settings_tree
from avrobust.experiments.result_files import Unreadable
from avrobust.report.analyses import analyzed_runs
from avrobust.report.classes import class_confusions
from avrobust.report.command import command
from avrobust.report.environment import TEMPLATES, render
from avrobust.report.figures import strength_charts
from avrobust.report.findings import findings
from avrobust.report.gallery import gallery
from avrobust.report.load import RunEntry, Runs
from avrobust.report.notes import notes
from avrobust.report.scores import Scores
from avrobust.report.table import Table
from avrobust.utils.files import atomic_write

SIZE = 20_000_000  # bytes
FRAME = 50_000  # bytes of the page without its sections
ANALYSIS_SHARE = 0.15  # of the page's size, that the section of one analysis may have
NOT_ON_PAGE = "fig3"  # a table that the page draws


class RunDetails(NamedTuple):
    """The section of one run."""

    id: str
    title: str
    notes: list[str]
    command: str
    config: list[tuple[str, str]]
    facts: list[tuple[str, str]]


def write_page(
    path: Path, runs: Runs, tables: Sequence[Table], size: int = SIZE
) -> list[Unreadable]:
    """Writes the page.

    Args:
        path: of the file.
        runs: all finished attacks.
        tables: in the order of the page.
        size: about the most bytes that the page may have; the clips get what the rest leaves.

    Returns:
        The files of analyses that cannot be read.
    """
    sections, unreadable = _sections(runs, tables, size)
    used = sum(len(section.html.encode()) for section in sections)
    # The clips are the one part that can be had in any size.
    clips = gallery(runs.entries, size - FRAME - used)
    if clips.cards:
        html = render(TEMPLATES / "gallery.html", gallery=clips)
        sections.insert(len(sections) - 1, Section("gallery", "Clips", html))
    text = render(
        TEMPLATES / "index.html",
        sections=sections,
        chart_css=style.css(),
        unreadable=[*runs.unreadable, *unreadable],
        **_header(runs),
    )
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return unreadable


def _header(runs: Runs) -> dict[str, Any]:
    entries = runs.entries
    return {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "count": len(entries),
        "datasets": sorted({entry.labels.dataset for entry in entries}),
        "seeds": sorted({entry.seed for entry in entries}),
        "untrusted": sum(not entry.result.trusted for entry in entries),
        "stale": sum(entry.stale is not None and entry.stale.changed for entry in entries),
        "unbounded": sum(not entry.result.attack.bounded for entry in entries),
    }


def _sections(
    runs: Runs, tables: Sequence[Table], size: int
) -> tuple[list[Section], list[Unreadable]]:
    """Every section but the clips, and the files of analyses that cannot be read."""
    entries = runs.entries
    shown_tables = [table for table in tables if table.name != NOT_ON_PAGE]
    sections = [
        _section("findings", "Findings", findings=findings(runs, Scores())),
        _section("tables", "Tables", tables=shown_tables),
    ]
    if charts := strength_charts(entries):
        sections.append(_section("curves", "Curves", charts=charts))
    unreadable: list[Unreadable] = []
    for analyzed in analyzed_runs(entries):
        unreadable += analyzed.unreadable
        section = analyzed.analysis.section(analyzed.runs, render, int(ANALYSIS_SHARE * size))
        if section:
            sections.append(section)
    confusions = class_confusions(entries, int(ANALYSIS_SHARE * size))
    if confusions.shown:
        sections.append(_section("classes", "Classes", confusions=confusions))
    details = [_run_details(entry) for entry in sorted(entries, key=lambda entry: entry.run_id)]
    sections.append(_section("runs", "Runs", runs=details))
    return sections, unreadable


def _section(name: str, title: str, **content: object) -> Section:
    return Section(name, title, render(TEMPLATES / f"{name}.html", **content))


def _run_details(entry: RunEntry) -> RunDetails:
    result = entry.result
    facts = [
        ("n", str(result.n)),
        ("seconds", str(result.seconds)),
        ("model", result.model),
        ("data", result.data),
        ("git", str(result.provenance.git)),
    ]
    return RunDetails(
        id=result.run_id,
        title=entry.title,
        notes=notes(result, entry.stale),
        command=command(result),
        config=flat(settings_tree(result.experiment)),
        facts=[*facts, *result.provenance.versions.items()],
    )
