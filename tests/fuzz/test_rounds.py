"""The rounds themselves: a failure names the command that repeats it."""

import pytest
from hypothesis import strategies as st

from tests.fuzz.rounds import Rounds


def test_a_failure_is_repeated_by_the_command_it_prints() -> None:
    def case(number: int) -> None:
        assert number < 1000

    with pytest.raises(AssertionError) as first:
        Rounds(60, None, "numbers").run(case, number=st.integers())
    (note,) = [note for note in first.value.__notes__ if "make fuzz" in note]
    seed = int(note.partition("SEED=")[2].split()[0])
    with pytest.raises(AssertionError):
        Rounds(60, seed, "numbers").run(case, number=st.integers())


def test_rounds_end_when_the_time_is_up() -> None:
    rounds = Rounds(0.2, None, "numbers")
    rounds.run(lambda number: None, number=st.integers())
    assert rounds.cases >= 20
