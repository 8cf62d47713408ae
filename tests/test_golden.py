"""No option's numbers change without a new revision."""

import pytest

from tests.golden import FILE, Pin, measure, names, pinned, refusal

PINNED = pinned()


def test_the_pinned_options_are_those_of_the_configs() -> None:
    assert set(PINNED) == set(names()), f"run `make golden`, which writes {FILE.name} anew"


@pytest.mark.parametrize("name", sorted(PINNED.keys() & set(names())))
def test_the_numbers_are_those_of_the_revision(name: str) -> None:
    now = measure(name)
    if reason := refusal(name, PINNED[name], now):
        pytest.fail(reason)
    assert now.revisions == PINNED[name].revisions, (
        f"a revision of {name} was raised: run `make golden`, which writes {FILE.name} anew"
    )


BEFORE = Pin({"": 1}, {"loss": 2.0})


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (BEFORE, None),
        (Pin({"": 1}, {"loss": 2.00001}), None),  # another CPU rounds otherwise
        (
            Pin({"": 1}, {"loss": 2.001}),
            "the numbers of attack/mim changed: raise `revision` in configs/attack/mim.yaml and "
            "run `make golden`; they were {'loss': 2.0} and are {'loss': 2.001}",
        ),
        (Pin({"": 1}, {"loss": 2.0, "more": 1.0}), "the numbers of attack/mim changed"),
        (Pin({"": 2}, {"loss": 2.001}), None),
        (Pin({"": 1, "solver": 1}, {"loss": 2.001}), None),  # a part of the option has another
        (Pin({"solver": 1}, {"loss": 2.001}), "attack/mim: a revision went down, from 1"),
        (Pin({}, {"loss": 2.0}), "attack/mim: a revision went down, from 1"),
    ],
)
def test_new_numbers_are_pinned_only_with_a_new_revision(now: Pin, expected: str | None) -> None:
    reason = refusal("attack/mim", BEFORE, now)
    assert (reason is None) == (expected is None)
    assert (reason or "").startswith(expected or "")
