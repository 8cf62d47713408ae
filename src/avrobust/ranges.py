"""The ranges of settings, as types: a parameter declares its own by `steps: PositiveInt`.

`utils.arguments` checks values against them, strictly: True, "3" and 1.5 are no integers, and a
number is never NaN or infinite, whatever its range.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, Predicate

# The upper bound of settings that have none of their own. Products of four such numbers are finite
# in float32, in which models compute.
LARGEST = 10**9


def increasing(values: Sequence[float]) -> bool:
    """Whether each value is larger than the one before."""
    return all(values[i] < values[i + 1] for i in range(len(values) - 1))


def not_empty(values: Sequence[object]) -> bool:
    """Whether there is a value."""
    return len(values) > 0


PositiveInt = Annotated[int, Ge(1), Le(LARGEST)]
NonNegativeInt = Annotated[int, Ge(0), Le(LARGEST)]
TwoOrMore = Annotated[int, Ge(2), Le(LARGEST)]
WorkerCount = Annotated[int, Ge(1), Le(1024)]  # processes
ExtraWorkerCount = Annotated[int, Ge(0), Le(1024)]  # processes beside the main one
Seed = Annotated[int, Ge(0), Le(2**32 - 1)]  # what torch, NumPy and Lightning all take
FiniteFloat = Annotated[float, Ge(-LARGEST), Le(LARGEST)]
PositiveFloat = Annotated[float, Gt(0), Le(LARGEST)]
OneOrMore = Annotated[float, Ge(1), Le(LARGEST)]
NonNegativeFloat = Annotated[float, Ge(0), Le(LARGEST)]
Fraction = Annotated[float, Ge(0), Le(1)]
BelowOne = Annotated[float, Ge(0), Lt(1)]
# Of a gradient step, in shares of eps. A smaller one is lost in the rounding of float32.
Step = Annotated[float, Ge(1e-6), Le(LARGEST)]
PositiveFraction = Annotated[float, Gt(0), Le(1)]
Decibels = Annotated[float, Ge(-200), Le(200)]  # amplitudes from 1e10 to 1e-10
Milestones = Annotated[tuple[PositiveInt, ...], Predicate(increasing)]
Widths = Annotated[tuple[PositiveInt, ...], Predicate(not_empty)]  # channels, layer by layer

NUMBERS = (int, float)
CONTAINERS = (tuple, list, Sequence, dict, Mapping)
UNIONS = (Union, UnionType)
WORDS = {bool: "true or false", str: "a text", NoneType: "null"}


class Leaf(NamedTuple):
    """A type inside another one that is neither a container nor a union."""

    kind: Any  # for example int, NoneType, Literal["a"] or a class
    bounds: tuple[Any, ...] = ()  # of a number, as declared


def leaves(hint: Any) -> Iterator[Leaf]:
    """The types that a type is made of, for example int and NoneType of `PositiveInt | None`."""
    origin = get_origin(hint)
    if origin is Annotated and hint.__origin__ in NUMBERS:
        yield Leaf(hint.__origin__, hint.__metadata__)
    elif origin is Annotated:
        yield from leaves(hint.__origin__)
    elif origin in (*CONTAINERS, *UNIONS):
        for inner in get_args(hint):
            if inner is not Ellipsis:
                yield from leaves(inner)
    else:
        yield Leaf(hint)


def literal_choices(hint: Any) -> list[str]:
    """The choices of a type that allows nothing but certain values, and perhaps null."""
    names: list[str] = []
    for leaf in leaves(hint):
        if get_origin(leaf.kind) is Literal:
            names += [str(choice) for choice in get_args(leaf.kind)]
        elif leaf.kind is not NoneType:
            return []
    return names


def describe_type(hint: Any) -> str | None:
    """What a type allows, for example "an integer of at least 1 or null"; None for objects."""
    base: Any = hint
    metadata: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        base, metadata = hint.__origin__, hint.__metadata__
    if base in NUMBERS:
        return _describe_number(base, metadata)
    origin, arguments = get_origin(base), get_args(base)
    if origin is Literal:
        return " or ".join(str(choice) for choice in arguments)
    if origin in UNIONS:
        return _join(" or ", [describe_type(inner) for inner in arguments])
    if origin in (tuple, list, Sequence):
        length = "" if origin is not tuple or Ellipsis in arguments else f" of {len(arguments)}"
        text = _join(" ", [f"a list{length}, each", describe_type(arguments[0])])
        conditions = [m.func.__name__ for m in metadata if isinstance(m, Predicate)]
        return text and ", ".join([text, *conditions]).replace("_", " ")
    return WORDS.get(base) if isinstance(base, type) else None


def _join(separator: str, texts: Sequence[str | None]) -> str | None:
    """One text of all; None if one of them is."""
    known = [text for text in texts if text is not None]
    return separator.join(known) if len(known) == len(texts) else None


def _describe_number(kind: type, bounds: Sequence[Any]) -> str:
    """For example "a number from 0 to 1" or "an integer of at least 1"."""
    least = most = None
    limits = []
    for bound in bounds:
        match bound:
            case Ge(ge=value) if value != -LARGEST:
                least = f"{value:.10g}"
            case Le(le=value) if value != LARGEST:
                most = f"{value:.10g}"
            case Gt(gt=value):
                limits.append(f"above {value:.10g}")
            case Lt(lt=value):
                limits.append(f"below {value:.10g}")
    if least and most:
        limits.append(f"from {least} to {most}")
    elif least:
        limits.insert(0, f"of at least {least}")
    elif most:
        limits.append(f"at most {most}")
    bounded = most or len(limits) == 2
    noun = "an integer" if kind is int else "a number" if bounded else "a finite number"
    return f"{noun} {' and '.join(limits)}".strip()
