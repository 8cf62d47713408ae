"""Numbers as text."""

from avrobust.utils.format import deviation_text, eps_text, interval_text, p_value_text


def test_an_interval_stands_behind_its_value() -> None:
    assert interval_text(34.615, 26.2, 44.4) == "34.62 (26 to 44)"
    assert interval_text(34.615, 26.2, 44.4, deviation=1.2, mark="*") == "34.62* ± 1.20 (26 to 44)"
    assert interval_text(0.5, 0.25, 0.75, digits=3, bound_digits=2) == "0.500 (0.25 to 0.75)"


def test_a_budget_goes_by_its_label_if_it_has_one() -> None:
    assert eps_text(0.006) == "0.006"
    assert eps_text(8 / 255, "8/255") == "8/255"


def test_deviations_and_p_values() -> None:
    assert deviation_text(0.34567, 0.0211) == "0.346 ± 0.021"
    assert p_value_text(0.0004) == "< 0.001"
    assert p_value_text(0.0345) == "0.035"
