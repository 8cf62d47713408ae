"""Damaged folders of runs: whatever reads them skips what it cannot read, and says so."""

from pathlib import Path

import pytest

from tests.damaged import Damaged


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
