"""How many jobs the overrides of a multirun make, counted without making them."""

import math
from collections.abc import Sequence

from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    RangeSweep,
)

from avrobust.errors import UserError


def check_count(overrides: Sequence[Override], limit: int) -> None:
    """Refuses a multirun of no job, or of more than `limit`.

    Args:
        overrides: with the parameters of the sweep first, as the sweeper takes them.
        limit: the largest number of jobs.

    Raises:
        UserError: the number of jobs is 0 or above the limit, or a range cannot be counted.
    """
    counts: dict[str, int] = {}
    for override in overrides:
        counts[override.get_key_element()] = _count(override)  # the last one of a key counts
    largest = max(overrides, key=lambda override: counts[override.get_key_element()])
    jobs = math.prod(counts.values())
    if jobs > limit:
        raise UserError(
            f"{largest.input_line}: a multirun of {jobs:,} jobs; at most max_jobs={limit}: give "
            "fewer values, or raise max_jobs"
        )


def _count(override: Override) -> int:
    """The number of values of an override; 1 without a sweep."""
    if not override.is_sweep_override():
        return 1
    values = override.value()
    if isinstance(values, IntervalSweep):
        raise UserError(
            f"{override.input_line}: an interval has no values to try; write range(START,STOP,STEP)"
        )
    if isinstance(values, RangeSweep):
        count = _count_range(override, values)
    elif isinstance(values, Glob):
        assert override.config_loader is not None
        names = override.config_loader.get_group_options(
            override.key_or_group, results_filter=ObjectType.CONFIG
        )
        count = len(values.filter(names))
    else:
        assert isinstance(values, ChoiceSweep)
        count = len(values.list)
    if not count:
        raise UserError(f"{override.input_line}: has no value to try")
    return count


def _count_range(override: Override, values: RangeSweep) -> int:
    start, stop, step = values.start, values.stop, values.step
    numbers = (start, stop, step)
    if None in numbers or not all(
        math.isfinite(number) for number in numbers if number is not None
    ):
        raise UserError(f"{override.input_line}: start, stop and step must be finite numbers")
    assert start is not None
    assert stop is not None
    if step == 0:
        raise UserError(f"{override.input_line}: a step of 0 never arrives")
    if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
        return len(range(start, stop, step))
    return max(0, math.ceil((stop - start) / step))
