"""Draws cases round after round until the time is up; a failure says how to repeat its round."""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest

CASES = 20  # a round


class Rounds:
    """The rounds of one fuzz test.

    Args:
        seconds: no round begins later than this.
        seed: of the one round that is to be repeated; None for new rounds.
        name: of the test, for the message.
    """

    def __init__(self, seconds: float, seed: int | None, name: str) -> None:
        self.seconds, self.seed, self.name = seconds, seed, name
        self.cases = 0

    def run(self, case: Callable[..., None], cases: int = CASES, **strategies: Any) -> None:
        """Calls `case` with drawn arguments, many times.

        Args:
            case: raises AssertionError where the program behaves wrongly.
            cases: how many make a round.
            **strategies: what each argument is drawn from.
        """

        def counted(**arguments: Any) -> None:
            self.cases += 1
            case(**arguments)

        for seed in self._seeds():
            settings = hypothesis.settings(
                max_examples=cases,
                deadline=None,
                database=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            drawn = hypothesis.seed(seed)(settings(hypothesis.given(**strategies)(counted)))
            try:
                drawn()
            except BaseException as error:
                error.add_note(f"repeat it by: make fuzz SEED={seed} FLAGS='-k {self.name}'")
                raise

    def _seeds(self) -> Iterator[int]:
        if self.seed is not None:
            yield self.seed
            return
        first = time.time_ns() % 1_000_000_000
        end = time.monotonic() + self.seconds
        for seed in itertools.count(first):
            if time.monotonic() >= end:
                break
            yield seed


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> Iterator[Rounds]:
    """Rounds for as long as --fuzz-seconds says; prints how many cases there were."""
    option = request.config.getoption
    made = Rounds(option("--fuzz-seconds"), option("--fuzz-seed"), request.node.originalname)
    yield made
    request.config.get_terminal_writer().line(f" {made.name}: {made.cases} cases")
