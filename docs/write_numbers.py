"""Makes the tables of README.md and docs/ again: runs their commands and writes what they find.

    python docs/write_numbers.py [NAME ...]

What each table is made of stands in numbers.yaml.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import yaml

from avrobust.experiments.settings import UNDEFENDED
from avrobust.report.figures import write_figures
from avrobust.report.load import RunEntry, Runs, load
from avrobust.report.scores import ClipMeasure, PairedTest, Scores, Side, paired_test
from avrobust.report.table import Line, Table, Text, columns_of
from avrobust.report.tables import overview, tables
from avrobust.report.write import UNITS, markdown

PROJECT = Path(__file__).parent.parent
BLOCKS = Path(__file__).parent / "numbers.yaml"
RUNS = Path("runs/docs")
END = "<!-- end of numbers -->"
GAINS = "gains"
GAINS_TITLE = (
    "Gain over no defense in points, with the 95 % interval for new clips and the p of the paired "
    "test; each clip's mean over the seeds"
)


class Block(NamedTuple):
    """One table of the documentation; numbers.yaml says what the fields are."""

    name: str
    file: str
    cost: str
    commands: list[str]
    table: str
    runs: dict[str, Any] | list[dict[str, Any]]
    columns: list[str]
    footnotes: bool = True
    lines: dict[str, str] | None = None
    without: dict[str, str] | None = None
    figure: dict[str, str] | None = None

    @property
    def begin(self) -> str:
        return f"<!-- numbers: {self.name} -->"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python docs/write_numbers.py", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="tables; all without a name")
    parser.add_argument("--write-only", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    blocks = read_blocks()
    if unknown := set(arguments.names) - set(blocks):
        parser.error(f"{', '.join(sorted(unknown))}: choices: {', '.join(blocks)}")
    for name in arguments.names or blocks:
        if not arguments.write_only:
            run_commands(blocks[name])
        write_block(blocks[name], PROJECT, PROJECT / RUNS)
        write_figure(blocks[name], PROJECT, PROJECT / RUNS)


def read_blocks() -> dict[str, Block]:
    """The blocks by name."""
    content = yaml.safe_load(BLOCKS.read_text(encoding="utf-8"))
    return {name: Block(name=name, **fields) for name, fields in content.items()}


def run_commands(block: Block) -> None:
    """Runs a block's commands; exits with the status of the first that fails."""
    sys.stdout.write(f"{block.name}: takes {block.cost} on 2 cores where nothing is done yet\n")
    for command in block.commands:
        words = [sys.executable, *shlex.split(command)[1:], f"runs={RUNS}"]
        status = subprocess.run(words, cwd=PROJECT, check=False).returncode
        if status:
            sys.exit(status)


def write_block(block: Block, project: Path, root: Path) -> None:
    """Puts a block's table, as these runs fill it, into its file.

    Args:
        block: the table.
        project: the folder that the block's file is relative to.
        root: the folder of the runs.
    """
    file = project / block.file
    text = file.read_text(encoding="utf-8")
    before, begin, rest = text.partition(f"{block.begin}\n")
    _, end, after = rest.partition(f"{END}\n")
    if not begin or not end:
        sys.exit(f"{file}: has no lines {block.begin} and {END}")
    file.write_text(before + begin + block_text(block, root) + end + after, encoding="utf-8")


def write_figure(block: Block, project: Path, root: Path) -> None:
    """Draws a block's figure, if it has one, into its file."""
    if block.figure is None:
        return
    with TemporaryDirectory() as folder:
        write_figures(_runs_of(block, root).entries, Path(folder))
        drawn = Path(folder) / f"{block.figure['name']}.png"
        if not drawn.is_file():
            sys.exit(f"{block.name}: its runs draw no figure {block.figure['name']}")
        shutil.copyfile(drawn, project / block.figure["file"])


def block_text(block: Block, root: Path) -> str:
    """The table in Markdown, with the version and the commands that made it."""
    part = _runs_of(block, root)
    table = _table(block, part)
    versions = sorted({_version(entry) for entry in part.entries})
    commands = "\n".join(f"    {command}" for command in block.commands)
    lines = [line for line in table.lines if _is_wanted(line, block)]
    columns = [name for name in block.columns if name in table.columns]
    footnotes = table.footnotes if block.footnotes else ()
    table = table._replace(columns=columns, lines=lines, footnotes=footnotes)
    # Gains are no accuracies: their title says what they are.
    text = markdown(table).replace(f"{UNITS}\n", "") if block.table == GAINS else markdown(table)
    made_by = f"avrobust {' and '.join(versions)}; {block.cost} on 2 cores, one thread a process:"
    return f"\n{text}\n{made_by}\n\n{commands}\n\n"


def _version(entry: RunEntry) -> str:
    """The version that made a run, and its commit, which is later than that version."""
    provenance = entry.result.provenance
    commit = f" at commit {provenance.git[:10]}" if provenance.git else ""
    return f"{provenance.versions['avrobust']}{commit}"


def _runs_of(block: Block, root: Path) -> Runs:
    runs = load(root)
    chosen = {entry.run_id for entry in runs.entries if _belongs(entry, block.runs)}
    if not chosen:
        sys.exit(f"{root}: no finished run belongs to {block.name}")
    return runs.only(chosen)


def _table(block: Block, runs: Runs) -> Table:
    scores = Scores()
    found = {"all": overview(runs, scores), GAINS: gains(runs, scores)}
    for table in tables(runs, scores):
        found[table.name] = table
    if block.table not in found:
        sys.exit(f"{block.name}: no run fills the table {block.table}")
    return found[block.table]


def gains(runs: Runs, scores: Scores) -> Table:
    """What each defense gains under each attack, against the undefended model on the same clips."""
    sides: dict[tuple[str, str], list[RunEntry]] = {}
    for entry in runs.entries:
        sides.setdefault((entry.labels.defense, entry.labels.attack), []).append(entry)
    conditions = runs.entries[0].result.attacked
    lines = []
    for defense in sorted({defense for defense, _ in sides} - {UNDEFENDED}):
        for condition in conditions:
            cells = {"defense": Text(defense), "under": Text(condition.title)}
            measure = ClipMeasure(condition.title, condition=condition.name)
            for attack in [attack for name, attack in sides if name == defense]:
                defended = Side(defense, tuple(sides[defense, attack]), measure)
                undefended = Side(UNDEFENDED, tuple(sides[UNDEFENDED, attack]), measure)
                cells[attack] = _gain_text(paired_test(scores, defended, undefended))
            lines.append(Line(cells))
    return Table(GAINS, GAINS_TITLE, columns_of(lines) if lines else [], lines, [])


def _gain_text(test: PairedTest | None) -> Text:
    if test is None or test.p is None:
        return Text("")
    return Text(f"{test.difference:+.2f}", f"({test.low:+.0f} to {test.high:+.0f}), p {test.p:.1g}")


def _is_wanted(line: Line, block: Block) -> bool:
    kept = all(line.cells[name].main == text for name, text in (block.lines or {}).items())
    dropped = any(line.cells[name].main == text for name, text in (block.without or {}).items())
    return kept and not dropped


def _belongs(entry: RunEntry, runs: dict[str, Any] | list[dict[str, Any]]) -> bool:
    """Whether a run is one of some runs."""
    choices = runs if isinstance(runs, list) else [runs]
    return any(_has(entry, wanted) for wanted in choices)


def _has(entry: RunEntry, wanted: dict[str, Any]) -> bool:
    """Whether a run has one of the wanted values of each label."""
    own = {
        **entry.labels._asdict(),
        "seed": entry.seed,
        "task": entry.result.task,
        "clips": entry.result.settings.clips,
    }
    for label, values in wanted.items():
        if own[label] not in (values if isinstance(values, list) else [values]):
            return False
    return True


if __name__ == "__main__":
    main()
