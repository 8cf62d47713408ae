"""Damaged folders of runs: report, status and an analysis read them without a traceback."""

from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.damaged import Damaged
from tests.fuzz.rounds import Rounds


@pytest.mark.fuzz
@pytest.mark.timeout(0)  # --fuzz-seconds ends it
def test_no_damage_ends_a_report(
    attacked: Path,
    tmp_path: Path,
    rounds: Rounds,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damaged = Damaged(attacked, tmp_path, monkeypatch, capsys)

    def case(seed: int) -> None:
        damaged.check(seed)

    rounds.run(case, seed=st.integers(0, 2**32))
