import pytest

from avrobust.metrics import average, average_with_clean, percent, wilson

TABLE2_CONCAT = {"clean": 88.46, "audio": 51.92, "visual": 45.19, "audiovisual": 15.38}


def test_the_papers_averages() -> None:
    assert average(TABLE2_CONCAT) == pytest.approx(37.50, abs=0.005)  # Table 3
    assert average_with_clean(TABLE2_CONCAT) == pytest.approx(50.24, abs=0.005)  # Table 2


def test_wilson_at_musics_size() -> None:
    low, high = wilson(52, 104)
    assert high - low == pytest.approx(2 * 9.44, abs=0.05)  # Newcombe 1998's formula by hand
    assert wilson(0, 104)[0] == 0
    assert wilson(104, 104)[1] == 100


def test_no_clip_has_no_accuracy() -> None:
    with pytest.raises(ValueError, match="no clip"):
        percent(0, 0)
