"""Numbers as text."""

from avrobust.utils.format import deviation_text, interval_text, p_value_text


def test_an_interval_stands_behind_its_value() -> None:
    assert interval_text(34.615, 26.2, 44.4) == "34.62 (26 to 44)"
    assert interval_text(34.615, 26.2, 44.4, digits=1) == "34.6 (26 to 44)"


def test_deviations_and_p_values() -> None:
    assert deviation_text(0.34567, 0.0211) == "0.346 ± 0.021"
    assert p_value_text(0.0004) == "< 0.001"
    assert p_value_text(0.0345) == "0.035"
