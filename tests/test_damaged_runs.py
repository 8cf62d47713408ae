"""Damaged folders of runs: whatever reads them skips what it cannot read, and says so."""

import csv
import json
import socket
from pathlib import Path

import pytest

from avrobust.cli.main import main
from avrobust.utils.spreadsheet import neutral, original
from tests.damaged import Damaged
from tests.results import put


@pytest.mark.parametrize("block", range(4))
def test_ten_damages(
    block: int,
    attacked: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damaged = Damaged(attacked, tmp_path, monkeypatch, capsys)
    for seed in range(10 * block, 10 * block + 10):
        try:
            damaged.check(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


def test_a_run_that_only_fails_while_drawn_is_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = put(tmp_path, (90, 50, 40, 10), "attack=mim")
    damaged = put(tmp_path, (90, 50, 40, 10), "attack=fgsm")
    path = tmp_path / "attack" / damaged.run_id / "result.json"
    content = json.loads(path.read_text())
    content["white_box"] = {"source": "x", "run_id": "x", "accuracy": {}, "reasons": []}
    path.write_text(json.dumps(content))
    assert main(["report", "--runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"skipped {path}: damaged: KeyError: 'audio'" in out
    page = (tmp_path / "report" / "index.html").read_text()
    assert whole.run_id in page
    assert "damaged: KeyError" in page


def test_the_papers_tables_of_runs_that_are_in_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("avrobust.report.run.tables", lambda *_: [])
    put(tmp_path, (90, 50, 40, 10), "attack=square")
    assert main(["report", "--tables", "--runs", str(tmp_path)]) == 0
    assert "no finished run belongs to a table of the paper" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@a/b", "'@a/b"),
        ("-a", "'-a"),
        ("\ta", "'\ta"),
        ("'=1", "''=1"),
        ("'quoted'", "'quoted'"),
        ("bell/1", "bell/1"),
        (-1.5, -1.5),
    ],
)
def test_formulas_are_text_in_spreadsheets_and_are_read_back(text: object, written: object) -> None:
    assert neutral(text) == written
    if isinstance(text, str):
        assert original(str(written)) == text


def test_no_cell_of_the_reports_files_is_a_formula(tmp_path: Path) -> None:
    result = put(tmp_path, (90, 50, 40, 10), "attack=mim")
    path = tmp_path / "attack" / result.run_id / "result.json"
    path.write_text(path.read_text().replace('"concat"', '"=HYPERLINK(1)"'))
    assert main(["report", "--runs", str(tmp_path)]) == 0
    for table in [tmp_path / "report" / "results.csv", *tmp_path.glob("report/tables/*.csv")]:
        with table.open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert "'=HYPERLINK(1)" in cells
        assert not any(cell.startswith("=") for cell in cells)


@pytest.mark.parametrize("pid", [-1, 2**40, "1", None])
def test_a_job_with_a_senseless_process_is_damaged(
    pid: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweeps" / "table1-0"
    folder.mkdir(parents=True)
    sweep = {"name": "table1", "command": "", "jobs": [["seed=0"]]}
    (folder / "sweep.json").write_text(json.dumps(sweep))
    job = {"number": 0, "overrides": [], "state": "running", "pid": pid, "folder": 5}
    (folder / "0.json").write_text(json.dumps(job | {"host": socket.gethostname()}))
    assert main(["status", "--runs", str(tmp_path)]) == 0
    assert f"{folder / '0.json'} is damaged" in capsys.readouterr().out
