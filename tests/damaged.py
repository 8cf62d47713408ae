"""What has to hold for every command that reads a damaged folder of runs."""

import random
import shutil
from pathlib import Path

import pytest

from avrobust.charts.figure import Chart
from avrobust.cli.main import main
from avrobust.errors import UserError
from tests.tampering import Runs, tamper


def stop(*_: object) -> None:
    """Takes the place of the work of an analysis."""
    raise UserError("read")


class Damaged:
    """Copies of one folder of runs, each damaged in another way and read by the commands."""

    def __init__(
        self,
        attacked: Path,
        folder: Path,
        patch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.runs = Runs(attacked, folder / "runs")
        self.kept, self.folder, self.capsys = folder / "kept", folder, capsys
        shutil.copytree(self.runs.root, self.kept)
        patch.setattr("avrobust.tasks.analyze.trained", stop)
        patch.setattr(Chart, "save", lambda *_: None)  # as slow as all the rest

    def check(self, seed: int) -> str:
        """Damages a copy and reads it; what was done to it."""
        shutil.rmtree(self.runs.root)
        shutil.copytree(self.kept, self.runs.root)
        done = tamper(self.runs, random.Random(seed))
        root = str(self.runs.root)
        assert self._status("report", "--runs", root) == 0, done
        out, _ = self.capsys.readouterr()
        assert self.runs.whole in (self.runs.root / "report" / "index.html").read_text(), done
        shown = self.runs.run.name in (self.runs.root / "report" / "results.csv").read_text()
        if (self.runs.run / "result.json").exists():
            assert shown or f"skipped {self.runs.run}" in out, done
        assert self._status("status", "--runs", root) == 0, done
        assert "whole-0: 2 jobs, 2 left" in self.capsys.readouterr().out, done
        assert self._status("surface", str(self.runs.run)) == 2, done
        _, complaint = self.capsys.readouterr()
        last = complaint.splitlines()[-1]
        assert last.startswith("avrobust: "), done
        assert len(last) < 4000, done
        return done

    def _status(self, *words: str) -> int:
        try:
            return main(words)
        except Exception as error:
            error.add_note(f"avrobust {' '.join(words)}")
            raise
