"""The tables of the documentation that runs fill: `make docs-numbers`."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.results import put_clips
from tests.support import PROJECT


@pytest.fixture(scope="module")
def numbers() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "write_numbers", PROJECT / "docs" / "write_numbers.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_page(folder: Path, name: str) -> Path:
    page = folder / "page.md"
    page.write_text(f"before\n<!-- numbers: {name} -->\nold\n<!-- end of numbers -->\nafter\n")
    return page


def block(numbers: ModuleType, **fields: object) -> object:
    everything = {
        "name": "ours",
        "file": "page.md",
        "cost": "1 minute",
        "commands": ["python attack.py attack=fgsm"],
        "table": "all",
        "runs": {"attack": "fgsm", "seed": [0, 1]},
        "columns": ["attack", "clean", "xAV"],
    }
    return numbers.Block(**{**everything, **fields})


def put_runs(runs: Path) -> None:
    clips = [range(60), range(30), range(40), range(20)]
    for seed in (0, 1, 2):
        put_clips(runs, clips, "attack=fgsm", f"seed={seed}")
    put_clips(runs, clips, "attack=pgd")


def test_a_table_is_written_between_its_marks_from_its_runs_alone(
    numbers: ModuleType, tmp_path: Path
) -> None:
    put_runs(tmp_path / "runs")
    page = write_page(tmp_path, "ours")
    numbers.write_block(block(numbers), tmp_path, tmp_path / "runs")
    text = page.read_text()
    assert text.startswith("before\n<!-- numbers: ours -->\n")
    assert text.endswith("<!-- end of numbers -->\nafter\n")
    assert "| attack   | clean" in text
    assert "57.69" in text
    assert "19.23" in text
    assert "pgd" not in text
    assert "old" not in text
    assert "    python attack.py attack=fgsm\n" in text
    again = page.read_text()
    numbers.write_block(block(numbers), tmp_path, tmp_path / "runs")
    assert page.read_text() == again


def test_the_version_is_that_of_the_runs(numbers: ModuleType, tmp_path: Path) -> None:
    from avrobust.experiments.results import Provenance

    put_clips(
        tmp_path / "runs",
        [range(60), range(30), range(40), range(20)],
        "attack=fgsm",
        provenance=Provenance({"avrobust": "0.0.9"}, None),
    )
    assert "avrobust 0.0.9;" in numbers.block_text(block(numbers), tmp_path / "runs")


def test_a_page_without_marks_and_a_table_without_runs_are_refused(
    numbers: ModuleType, tmp_path: Path
) -> None:
    put_runs(tmp_path / "runs")
    (tmp_path / "page.md").write_text("nothing\n")
    with pytest.raises(SystemExit, match=r"page\.md"):
        numbers.write_block(block(numbers), tmp_path, tmp_path / "runs")
    write_page(tmp_path, "ours")
    with pytest.raises(SystemExit, match="no finished run belongs to ours"):
        numbers.write_block(block(numbers, runs={"attack": "mim"}), tmp_path, tmp_path / "runs")


def test_every_table_of_the_documentation_states_its_commands_and_version(
    numbers: ModuleType,
) -> None:
    blocks = numbers.read_blocks()
    assert blocks
    for one in blocks.values():
        text = (PROJECT / one.file).read_text()
        assert one.begin in text, one.name
        part = text.partition(one.begin)[2].partition(numbers.END)[0]
        for command in one.commands:
            assert f"    {command}\n" in part, f"{one.name}: make docs-numbers ONLY={one.name}"
        assert re.search(r"^avrobust \d+\.\d+\.\d+", part, re.MULTILINE), one.name


def test_every_mark_has_its_table(numbers: ModuleType) -> None:
    names = set(numbers.read_blocks())
    for page in [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")]:
        for name in re.findall(r"<!-- numbers: (\S+) -->", page.read_text()):
            assert name in names, page
