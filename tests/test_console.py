"""What goes to the console is whole, whatever its width."""

import io

import pytest
from rich.table import Table

from avrobust.cli.explain import is_mistake, one_line
from avrobust.evaluation.checks import BudgetExceededError
from avrobust.utils import console


def test_a_wide_table_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr(console.out, "file", text)
    table = Table("", title="title")
    for number in range(20):
        table.add_column(f"condition {number}", justify="right", no_wrap=True)
    table.add_row("ours", *(f"{number}.25" for number in range(20)))
    console.print_table(table)
    assert "…" not in text.getvalue()
    row = next(line for line in text.getvalue().splitlines() if "ours" in line)
    assert row.index("0.25") < row.index("19.25")


def test_an_attack_that_leaves_its_budget_is_no_defect_of_ours() -> None:
    assert is_mistake(BudgetExceededError("own left its budget on clip a: audio eps 0.1"))


def test_a_defect_of_ours_is_no_mistake_of_the_user() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        console.track([1 / 0], "", 1)
    assert not is_mistake(caught.value)


def test_a_message_is_one_line_that_a_terminal_can_show() -> None:
    assert one_line("a\r\nb \x1b[31m") == "a b \\x1b[31m"
    assert len(one_line("x" * 10_000)) < 200
